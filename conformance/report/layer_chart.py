"""A picture of where a network starts to go wrong: one bar a layer, its error ratio on a log scale."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from conformance.cases.outcome import LayerFigures
from conformance.report.formatting import layer_name, ratio_and_error

_LOWEST = 0.1
_LEFT, _TOP, _HEIGHT, _STEP = 26, 14, 90, 16
_LETTER, _LONGEST_LABEL = 5.2, 16
_MOST_LINES = 6
_MOST_DECADES = 9
_SUPERSCRIPT = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Bar:
    """One layer. Lengths are in the picture's units, `y` downwards from its top."""

    x: float
    y: float
    height: float
    bad: bool
    first_bad: bool
    label: str
    title: str


@dataclass(frozen=True)
class Line:
    """A error ratio that is marked on the scale."""

    y: float
    label: str
    baseline: bool


@dataclass(frozen=True)
class Strip:
    """The whole picture. `upright`: the labels are too long to stand below their bars, and run downwards."""

    width: int
    height: int
    left: int
    base: int
    bar_width: int
    bars: tuple[Bar, ...]
    lines: tuple[Line, ...]
    upright: bool


def layer_strip(layers: Sequence[LayerFigures]) -> Strip | None:
    """The picture of the layers that were tapped in place; None where there are none."""
    tapped = [layer for layer in layers if layer.how == "in_place"]
    if not tapped:
        return None
    finite = [layer.noise_ratio for layer in tapped if math.isfinite(layer.noise_ratio)]
    decades = min(_MOST_DECADES, max(2, math.ceil(math.log10(max([*finite, 1.0])))))
    first_bad = next((index for index, layer in enumerate(tapped) if layer.bad), None)
    step = math.ceil(decades / _MOST_LINES)
    labels = _labels([layer.path for layer in tapped])
    longest = max(map(len, labels))
    upright = longest > 2
    return Strip(
        width=_LEFT + _STEP * len(tapped) + 4,
        height=_TOP + _HEIGHT + (math.ceil(longest * _LETTER) + 8 if upright else 18),
        left=_LEFT,
        base=_TOP + _HEIGHT,
        bar_width=_STEP - 4,
        bars=tuple(
            _bar(layer, label, index, decades, index == first_bad)
            for index, (layer, label) in enumerate(zip(tapped, labels, strict=True))
        ),
        lines=tuple(_line(power, decades) for power in range(0, decades + 1, step)),
        upright=upright,
    )


def _labels(paths: Sequence[str]) -> list[str]:
    """The shortest ends of the paths that tell them apart: `10`, or `0.conv`; of a long one only its end."""
    ends = [[".".join(path.split(".")[-parts:]) for parts in range(1, path.count(".") + 2)] for path in paths]
    seen = Counter(end for own in ends for end in own)
    if any(seen[own[0]] > 1 for own in ends):  # where numbers are counted more than once, none stands alone
        seen.update(end for own in ends for end in own if end.isdecimal())
    shortest = [next((end for end in own if seen[end] == 1), own[-1]) for own in ends]
    return [label if len(label) <= _LONGEST_LABEL else f"…{label[1 - _LONGEST_LABEL :]}" for label in shortest]


def _line(power: int, decades: int) -> Line:
    label = str(10**power) if power < 3 else f"10{str(power).translate(_SUPERSCRIPT)}"
    return Line(_y(10.0**power, decades), label, power == 0)


def _bar(layer: LayerFigures, label: str, index: int, decades: int, first_bad: bool) -> Bar:
    y = _y(layer.noise_ratio, decades)
    return Bar(
        x=_LEFT + _STEP * index + 2,
        y=y,
        height=round(_TOP + _HEIGHT - y, 1),
        bad=layer.bad,
        first_bad=first_bad,
        label=label,
        title=f"{layer_name(layer.path, layer.type)}: {ratio_and_error(layer)}",
    )


def _y(value: float, decades: int) -> float:
    """How far from the top a error ratio is; what is beyond the scale fills the whole height."""
    if not math.isfinite(value):
        return float(_TOP)
    share = (math.log10(max(value, _LOWEST)) + 1) / (decades + 1)
    return round(_TOP + _HEIGHT * (1 - max(0.02, min(1.0, share))), 1)
