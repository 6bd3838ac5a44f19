"""The words of the matrix. Every form of it says a thing with the same words, and these are they."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from conformance.cases.outcome import Check, GroupFigures, LayerFigures, Record, Stage, Status, worst_error
from conformance.compare.severity import severity

NOT_TESTED = "not_tested"
DASH = "\u2013"

KINDS = {False: "real", True: "emulated"}
NOT_MEASURED = "computed from the known defects of a release, not measured on the device"
HEADINGS = {False: "Real", True: f"Emulated ({NOT_MEASURED})"}

_LONGEST_SIGNATURE = 60


@dataclass(frozen=True)
class CellText:
    """What a cell says: `✗`, `wrong`, `model.10 (C2PSA), scores`."""

    mark: str
    word: str
    where: str = ""

    def __str__(self) -> str:
        return f"{self.mark} {self.word}" + (f": {self.where}" if self.where else "")


def cell_text(record: Record | None) -> CellText:
    """What the cell of a record says, and what a cell without a record says."""
    if record is None:
        return CellText(DASH, "not tested")
    if record.status is Status.PASS:
        # so in records of the first revisions, which have no verdict on what was tapped
        return CellText("✓", "pass", f"but tapped {_where(record)} is wrong" if record.first_bad_layer else "")
    if record.status is Status.SUITE_ERROR:
        return CellText(DASH, "error of the suite", one_line(record.signature or ""))
    if record.models_own:
        return CellText("✗", "the model cannot be judged")
    if record.status is Status.NOT_RUN:
        return CellText(DASH, "compiled, not run" if record.stage is Stage.COMPILE else "not run")
    if record.status is Status.UNSUPPORTED:
        return CellText(DASH, "unsupported")
    if record.status is Status.NOT_JUDGED:
        return CellText(DASH, "not judged")
    if record.status in (Status.WRONG, Status.NONFINITE):
        return CellText("✗", record.status.value, _where(record))
    signature = one_line(record.signature or "")
    if len(signature) > _LONGEST_SIGNATURE:
        signature = signature[: _LONGEST_SIGNATURE - 1] + "…"
    if record.status is Status.CRASH:
        return CellText("✗", f"crash {signature}".rstrip())
    return CellText("✗", signature or record.status.value)


def _where(record: Record) -> str:
    """What was seen in the graph or at which call, the first bad layer and, where the outputs are not right, the
    worst group and how bad it is, as far as they are known."""
    parts = [record.signature] if record.signature else []
    if record.first_bad_layer:
        parts.append(layer_name(record.first_bad_layer, layer_type(record, record.first_bad_layer)))
    worst = record.worst_group
    if worst and record.outputs_bad:
        parts.append(f"{worst} ({severity(record.groups[worst].worst_error).value})")
    return one_line(", ".join(parts))


def check_text(check: Check) -> str:
    """`model, call 2: wrong (call 2), error ratio 48.2`."""
    what = check.of.value + (f", call {check.call}" if check.call else "")
    signature = f" ({one_line(check.signature)})" if check.signature else ""
    of_error = "" if check.noise_ratio is None else f", error ratio {ratio(check.noise_ratio)}"
    return f"{what}: {check.status.value.replace('_', ' ')}{signature}{of_error}"


def layer_type(record: Record, path: str) -> str:
    """The type of a layer; empty where the record has no figures of it."""
    return next((layer.type for layer in record.layers if layer.path == path), "")


def layer_name(path: str, type_: str) -> str:
    """`model.10 (C2PSA)`."""
    return f"{path} ({type_})" if type_ else path


def counts(statuses: Iterable[str]) -> dict[str, int]:
    """How many cells there are of each status: pass first, not tested last."""
    order = [*(status.value for status in Status), NOT_TESTED]
    found = list(statuses)
    return {status: found.count(status) for status in order if status in found}


def totals(statuses: Iterable[str]) -> str:
    """`96 cells: 24 pass, 64 wrong, 8 not tested`."""
    number = counts(statuses)
    each = ", ".join(f"{count} {status.replace('_', ' ')}" for status, count in number.items())
    return plural(sum(number.values()), "cell") + (f": {each}" if each else "")


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of Markdown. The cells are fit for one as they are."""
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *rows))


def plural(count: int, noun: str) -> str:
    """`1 cell`, `2 cells`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def ratio(value: float) -> str:
    """A error ratio or an error, to three digits: `0.93`, `1,240`, `3.1e+07`, `∞`."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if abs(value) >= 1e6:
        return f"{value:.1e}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def error_text(figures: GroupFigures | LayerFigures) -> str:
    """`4.9e-05`, or `4.9e-05 (negligible for detections)`: the largest relative error of an image and, where it is
    wrong, how bad that is."""
    value = worst_error(figures.per_image)
    text = f"{value:.1e}" if math.isfinite(value) else ratio(value)
    return f"{text} ({severity(value).words})" if figures.bad else text


def ratio_and_error(figures: GroupFigures | LayerFigures) -> str:
    """`error ratio 1,240, error 4.9e-05 (negligible for detections)`."""
    return f"error ratio {ratio(figures.noise_ratio)}, error {error_text(figures)}"


def cosine_text(value: float) -> str:
    """A cosine, to four decimals."""
    return f"{value:.4f}" if math.isfinite(value) else ratio(value)


def share(part: int, whole: int) -> str:
    """Percent, rounded down so that 100 % is all of them: `44.7 %`; a share of none is a dash."""
    return f"{part * 1000 // whole / 10:.1f} %" if whole else DASH


def precision(value: float | None) -> str:
    """An average precision, 0 to 1, to three decimals; it is not known where the images have no labels."""
    return "no labels" if value is None else f"{value:.3f}"


def one_line(text: str) -> str:
    """The text without line breaks and control characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def natural(text: str) -> tuple[tuple[int, int, str], ...]:
    """A sort key by which 2.9 comes before 2.29."""
    parts = re.findall(r"\d+|\D+", text)
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts)
