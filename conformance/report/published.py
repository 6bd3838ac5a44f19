"""Figures that were published of a model, beside what the real front end says of the same model here.

The records do not say which group is of which output, so a figure of one output names its groups. Their cosines stand
apart: records have no cosine of several groups together, only that of the whole output.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

from pydantic import Field, model_validator

from conformance.cases.case import model_name
from conformance.cases.outcome import Record, Status, Strict
from conformance.core.reading import fixture_path, read_toml
from conformance.defects.split_with_sizes import SPLIT_WITH_SIZES as DEFECT
from conformance.report.formatting import cell_text, cosine_text, layer_name, layer_type
from conformance.report.table import Cell

SYSTEM = "yolo26"
TARGET = "xla"
ABOUT = (
    "Weights and inputs of the published figures are not known, and those here are others: figures are not expected "
    f"to be equal. What can be told is whether {DEFECT.id} is triggered by the same model in {TARGET}, the "
    "real front end of torch-neuronx, and whether the same output is right with it worked around."
)
HEADINGS = (
    *("published", "its cosine", "case here", "cosine here", "worst group", "first bad layer"),
    *("the defect is triggered", "with a workaround", "can the defect explain it"),
)


class PublishedSource(Strict):
    """Where the figures are from."""

    title: str
    link: str
    measured_on: str


class Figure(Strict):
    """A cosine similarity between device and CPU: of the whole output or, where `output` is given, of that one,
    which is made of the output groups `groups`."""

    variant: str
    task: str
    cosine: float = Field(ge=-1, le=1)
    max_abs: float | None = None
    output: int | None = None
    groups: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _one_output_has_groups(self) -> Figure:
        if (self.output is None) == bool(self.groups):
            raise ValueError("a figure has `output` and `groups`, the groups that output is made of, or neither")
        return self


class Figures(Strict):
    """The whole file."""

    source: PublishedSource
    figure: list[Figure]


class Answer(str, Enum):
    """Whether the defect can explain a figure. `partly`: worked around, the output is still wrong."""

    YES = "yes"
    NO = "no"
    PARTLY = "partly"
    OPEN = "open"
    NOT_TESTED = "not tested"


@dataclass(frozen=True)
class Compared:
    """A published figure, the record of the same model on the real front end, and its records with workarounds."""

    figure: Figure
    cell: Cell
    helped: tuple[Record, ...]

    @property
    def name(self) -> str:
        """`yolo26n-segment, output 1`."""
        output = "" if self.figure.output is None else f", output {self.figure.output}"
        return model_name(SYSTEM, self.figure.variant, self.figure.task) + output

    @property
    def cosines(self) -> dict[str, float]:
        """The cosine here of what the figure is of: of the whole output, or of each of its groups."""
        record = self.cell.record
        if record is None:
            return {}
        if self.figure.groups:
            return {name: record.groups[name].cosine for name in self.figure.groups if name in record.groups}
        return {"whole output": record.published_gate.cosine} if record.published_gate else {}

    @property
    def triggered(self) -> bool | None:
        """Whether the defect is what is wrong there; None where nothing came to figures."""
        return DEFECT.id in self.cell.record.defects if self.cell.record and self.cell.record.groups else None

    @property
    def with_workarounds(self) -> dict[str, str]:
        """For each set of workarounds, how the same case ended."""
        return {"+".join(record.column.workarounds): record.status.value for record in self.helped}

    @cached_property
    def explained(self) -> tuple[Answer, str]:
        """Whether the defect can explain the figure, and why that is said."""
        record = self.cell.record
        if record is None:
            return Answer.NOT_TESTED, ""
        right = _right(self.figure, record)
        if right is None:
            return Answer.NOT_TESTED, f"no figures of this output, {self.cell.text}"
        if right:
            conditioning = record.conditioning.get(record.subject.dtype)
            if conditioning and not conditioning.sufficient:
                dtype = record.subject.dtype
                return Answer.OPEN, f"{TARGET} passes, but the whole network cannot be judged in {dtype}"
            return Answer.NO, f"{TARGET} is right there"
        if not self.triggered:
            return Answer.NO, f"{TARGET} is wrong there, but not by this defect"
        return self._worked_around()

    def _worked_around(self) -> tuple[Answer, str]:
        """Where it is triggered, the answer is in the same case with nothing but this defect worked around."""
        ways = [record for record in self.helped if set(record.column.workarounds) <= set(DEFECT.workarounds)]
        rights = {" and ".join(record.column.workarounds): _right(self.figure, record) for record in ways}
        good = [name for name, right in rights.items() if right]
        bad = [name for name, right in rights.items() if right is False]
        if good:
            return Answer.YES, f"it is triggered there, and with {' or '.join(good)} the output is right"
        if bad:
            return Answer.PARTLY, f"it is triggered there, but with {' or '.join(bad)} the output is still wrong"
        return Answer.OPEN, "it is triggered there, and with no workaround did it come to figures"

    @property
    def cells(self) -> tuple[str, ...]:
        """What is under HEADINGS. Where there is no record, nothing is known but the figure."""
        record, (answer, why) = self.cell.record, self.explained
        untested, published = str(cell_text(None)), (self.name, cosine_text(self.figure.cosine))
        if record is None:
            return *published, *[untested] * (len(HEADINGS) - len(published))
        worst, first = record.worst_group, record.first_bad_layer
        return (
            *published,
            str(record.subject),
            ", ".join(f"{name} {cosine_text(value)}" for name, value in self.cosines.items()) or untested,
            f"{worst} {cosine_text(record.groups[worst].cosine)}" if worst else untested,
            layer_name(first, layer_type(record, first)) if first else "none" if record.layers else untested,
            untested if self.triggered is None else "yes" if self.triggered else "no",
            ", ".join(f"{name}: {status}" for name, status in self.with_workarounds.items()) or untested,
            f"{answer.value}: {why}",
        )


@dataclass(frozen=True)
class Published:
    """All figures of the file, in its order."""

    source: PublishedSource
    figures: tuple[Compared, ...]

    @property
    def summary(self) -> str:
        """`Can the defect split-with-sizes explain the published figures? 2 yes, 1 no, 7 not tested`."""
        found = [compared.explained[0] for compared in self.figures]
        each = ", ".join(f"{found.count(answer)} {answer.value}" for answer in Answer if answer in found)
        return f"Can the defect {DEFECT.id} explain the published figures? {each}"


def published_figures(models: Iterable[Record], anchor_of: Mapping[str, str]) -> Published:
    """The figures of `fixtures/figures`, each with its records. Raises UserError for a broken file."""
    content = read_toml(fixture_path("figures", f"{SYSTEM}.toml"), Figures)
    ours = [record for record in models if _on_the_front_end(record)]
    return Published(content.source, tuple(_compared(figure, ours, anchor_of) for figure in content.figure))


def _on_the_front_end(record: Record) -> bool:
    return record.subject.system == SYSTEM and record.column.target == TARGET and not record.emulated


def _compared(figure: Figure, ours: list[Record], anchor_of: Mapping[str, str]) -> Compared:
    wanted = figure.variant, figure.task
    same = [record for record in ours if (record.subject.variant, record.subject.task) == wanted]
    record = min((record for record in same if not record.column.workarounds), key=_preferred, default=None)
    if record is None:
        return Compared(figure, Cell(), ())
    helped = [
        r for r in same if r.column.workarounds and (r.subject, r.column.plain) == (record.subject, record.column)
    ]
    helped.sort(key=lambda record: record.column.workarounds)
    return Compared(figure, Cell(record, anchor_of[record.id]), tuple(helped))


def _preferred(record: Record) -> tuple[object, ...]:
    """Smallest first: one with figures, the seeded weights, the smallest batch, float32, the largest images."""
    of = record.subject
    size = (of.height or 0) * (of.width or 0)
    return not record.groups, of.weights is not None, of.batch, of.dtype != "float32", -size, record.id


def _right(figure: Figure, record: Record) -> bool | None:
    """Whether what the figure is of is right in a record; None where the record has no figures of it."""
    if not record.groups or any(name not in record.groups for name in figure.groups):
        return None
    if figure.groups and record.status is Status.WRONG:
        return not any(record.groups[name].bad for name in figure.groups)
    return record.status is Status.PASS
