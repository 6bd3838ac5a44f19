"""The error ratios that the limits come from (`matrices/published/limits.json`): of every dtype, system
and compiler.

They are kept as histograms, from which the limits are computed again, and what they would have been without one of
the systems or compilers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import ceil, isfinite
from typing import Literal

from pydantic import Field

from conformance.cases.outcome import ImageFigures, Record, Strict
from conformance.compare.limits import Healthy
from conformance.core.errors import UserError
from conformance.core.text import json_by_line

Kind = Literal["outputs", "in_place", "isolated"]
KINDS: tuple[Kind, ...] = ("outputs", "in_place", "isolated")
FACTOR = 2
EVIDENCE = ("published", "limits.json")  # in the folder `matrices`


class Ratios(Strict):
    """What one compiler gave for one system at one dtype.

    `ratios` counts them by hundredths, rounded up: of every image of every group or layer, and of the other images
    the largest of each case. `cases` are the largest of each case.
    """

    dtype: str
    kind: Kind
    target: str
    system: str
    ratios: dict[int, int]
    cases: dict[int, int]

    @property
    def largest(self) -> float:
        """The largest ratio, rounded up to hundredths."""
        return max(self.ratios) / 100


class LimitEvidence(Strict):
    """All of it, and what it was measured on: `faulty` is the smallest ratio, in the worst group, that a known defect
    gave, by dtype. `earlier` is what is kept of measurements on other machines, of dtypes that this one lacks."""

    host: str
    measured: str
    packages: dict[str, str]
    revision: str
    healthy: list[Ratios]
    faulty: dict[str, float] = Field(default_factory=dict)
    earlier: dict[str, Healthy] = Field(default_factory=dict)

    def of(self, dtype: str, kind: Kind) -> list[Ratios]:
        """The healthy ratios of a dtype and kind."""
        return [one for one in self.healthy if (one.dtype, one.kind) == (dtype, kind)]


def limit_of(largest: float) -> int:
    """Twice the largest healthy ratio, rounded up."""
    return ceil(FACTOR * largest)


def gathered(records: Iterable[Record]) -> list[Ratios]:
    """The histograms of records of healthy answers. Raises UserError for one that is not finite."""
    found: dict[tuple[str, Kind, str, str], tuple[Counter[int], Counter[int]]] = {}
    for record in records:
        for kind, values in _ratios(record):
            key = (record.subject.dtype, kind, record.column.target, record.subject.system)
            ratios, cases = found.setdefault(key, (Counter(), Counter()))
            hundredths = [_hundredths(value, record) for value in values]
            ratios.update(hundredths)
            cases[max(hundredths)] += 1
    return [
        Ratios(dtype=dtype, kind=kind, target=target, system=system, ratios=_sorted(ratios), cases=_sorted(cases))
        for (dtype, kind, target, system), (ratios, cases) in sorted(found.items())
    ]


def _ratios(record: Record) -> Iterator[tuple[Kind, list[float]]]:
    images = [image for group in record.groups.values() for image in group.per_image]
    others = [check.noise_ratio for check in record.checks if check.call == 2 and check.noise_ratio is not None]
    yield "isolated" if record.layer else "outputs", [*_of(images), *others]
    if record.layer is None and (layers := [image for layer in record.layers for image in layer.per_image]):
        yield "in_place", _of(layers)


def _of(images: Sequence[ImageFigures]) -> list[float]:
    return [image.noise_ratio for image in images]


def _hundredths(value: float, record: Record) -> int:
    if not isfinite(value):
        raise UserError(f"a healthy answer is not finite, and no known defect explains it: leave out {record.id}")
    return ceil(value * 100)


def _sorted(counts: Counter[int]) -> dict[int, int]:
    return dict(sorted(counts.items()))


def quantile(ratios: Iterable[Ratios], share: float) -> float:
    """The smallest ratio that this share of all is not above."""
    counts: Counter[int] = Counter()
    for one in ratios:
        counts.update(one.ratios)
    wanted, seen = share * counts.total(), 0
    for hundredths, count in sorted(counts.items()):
        seen += count
        if seen >= wanted:
            return hundredths / 100
    raise ValueError("a quantile of nothing")


@dataclass(frozen=True)
class LeftOut:
    """What the limit would have been without a system or a compiler, and how many of its cases would have been false
    alarms then."""

    name: str
    limit: int
    cases: int
    alarms: int


def left_out(ratios: Sequence[Ratios], name_of: Callable[[Ratios], str]) -> list[LeftOut]:
    """Each system or compiler in turn, as `name_of` says; none where it is the only one."""
    names = sorted({name_of(one) for one in ratios})
    found = []
    for name in names if len(names) > 1 else ():
        rest = limit_of(max(one.largest for one in ratios if name_of(one) != name))
        cases: Counter[int] = Counter()
        for one in ratios:
            cases.update(one.cases if name_of(one) == name else {})
        alarms = sum(count for hundredths, count in cases.items() if hundredths > 100 * rest)
        found.append(LeftOut(name, rest, cases.total(), alarms))
    return found


def as_json(evidence: LimitEvidence) -> str:
    """The content of `limits.json`: a line for each compiler, system, dtype and kind."""
    return json_by_line(evidence.model_dump(mode="json"), "healthy", (",", ":"))
