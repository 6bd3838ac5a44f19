"""What came of a case: how far it got, with what status, and the figures. One JSON object a case."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from datetime import datetime, timezone
from enum import Enum
from math import isnan
from traceback import format_exc
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from conformance.cases.case import Case, Column, Subject
from conformance.core.errors import first_line
from conformance.core.revision import suite_revision
from conformance.core.text import one_line, printable

# Strings from outside, made fit to be shown: of any length, and of one line.
Text = Annotated[str, AfterValidator(printable)]
Line = Annotated[str, AfterValidator(one_line)]
# Raise this when what a field means changes, not when one is added: readers keep what they do not know.
SCHEMA = 1


class Stage(str, Enum):
    """The steps of a case, in the order they are taken."""

    CAPTURE = "capture"
    LOWER = "lower"
    COMPILE = "compile"
    LOAD = "load"
    RUN = "run"
    COMPARE = "compare"


class Status(str, Enum):
    """How a case ended. `error` carries the compiler's code, `crash` the signal, as the signature.

    `mismatch`: another number of outputs, or other shapes. `fallback`: operators ran on the CPU, not on the device.
    `unsupported`: the target does not claim to do it.
    `not_judged`: it ran, but right and wrong cannot be told apart at this dtype.
    `suite_error`: an error of the suite's own, which says nothing of the device.
    """

    PASS = "pass"
    WRONG = "wrong"
    NONFINITE = "nonfinite"
    MISMATCH = "mismatch"
    ERROR = "error"
    CRASH = "crash"
    TIMEOUT = "timeout"
    FALLBACK = "fallback"
    UNSUPPORTED = "unsupported"
    NOT_JUDGED = "not_judged"
    NOT_RUN = "not_run"
    SUITE_ERROR = "suite_error"


# What is no verdict on a target.
UNDECIDED = (Status.UNSUPPORTED, Status.NOT_JUDGED, Status.NOT_RUN, Status.SUITE_ERROR)


class Strict(BaseModel):
    """What people write by hand: a key that is not known is an error. Infinity and NaN survive the JSON."""

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="strings")


class Recorded(Strict):
    """What suites write, newer ones as well: a key that is not known is kept, and written again."""

    model_config = ConfigDict(extra="allow")


class ImageFigures(Recorded):
    """One image of the batch, beside the float64 reference."""

    noise_ratio: float
    """Its error over the error of equally valid CPU runs, by the measure that makes it largest."""
    rel_l2: float
    """The L2 norm of the difference over that of the reference."""
    cosine: float
    """Cosine similarity to the reference."""
    measure: Text = "L2"
    """What the error ratio is of: the L2 norm, the peak or the gain (`conformance.compare.metrics`)."""
    rel_peak: float | None = None
    """The largest difference over the largest value of the reference."""
    bad: bool = False
    """Whether it is further away than the limit allows."""


class GroupFigures(Recorded):
    """One output group (boxes, scores, ...) over the batch."""

    noise_ratio: float
    """The worst image's."""
    rel_l2: float
    """Relative L2 error of all images together."""
    cosine: float
    """Cosine similarity of all images together."""
    max_abs: float
    """The largest absolute difference, in the output's own units."""
    sqnr_db: float
    """Signal to quantisation noise, in dB."""
    per_image: list[ImageFigures]
    """In the order of the batch."""
    bad: bool
    """Whether some image is."""

    @property
    def worst_error(self) -> float:
        """The largest relative L2 error of an image; NaN is largest."""
        return worst_error(self.per_image)


def worst_error(images: Iterable[ImageFigures]) -> float:
    """The largest relative L2 error of these images; NaN is largest."""
    return max((image.rel_l2 for image in images), key=lambda error: (isnan(error), error), default=0.0)


class LayerFigures(Recorded):
    """One layer."""

    path: Text
    """In the model: `model.10`."""
    type: Text
    """Its class."""
    how: Text
    """`isolated`: compiled alone, fed with the reference's inputs. `in_place`: tapped in the whole model."""
    noise_ratio: float
    """The worst image's."""
    cosine: float
    """Cosine similarity of all images together."""
    per_image: list[ImageFigures]
    """In the order of the batch."""
    bad: bool
    """Whether some image is."""


class PublishedGate(Recorded):
    """What the published YOLO26 port's test would have said: one cosine over the whole output."""

    rule: Text
    """The test, in words."""
    cosine: float
    """Of everything, flattened."""
    passes: bool
    """Whether it would have been green."""


ENOUGH = 5.0


class Conditioning(Recorded):
    """How well a dtype can tell right from wrong, over all layers and images of a model."""

    layer: Text
    """Where another image is nearest to the reference."""
    ratio: float
    """How far it is there, in units of the distance that rounding alone makes."""
    sufficient: bool
    """Whether that is enough for a verdict on the whole network; else its isolated layers are what counts."""


class Aspect(str, Enum):
    """What of a case is judged, each by itself."""

    MODEL = "model"  # the outputs of the whole model, call by call
    ISOLATED = "isolated"  # those of a layer alone
    IN_PLACE = "in place"  # all layers, tapped while the whole model runs
    DETECTIONS = "detections"


class Check(Recorded):
    """One verdict. It is given once, where the answers are, and everything else reads it."""

    of: Aspect
    """What is judged."""
    status: Status
    """The verdict."""
    signature: Text | None = None
    """What tells one failure from another of the same status."""
    detail: Text | None = None
    """A sentence for people."""
    call: int | None = None
    """Which call of the program, counted from 1."""
    noise_ratio: float | None = None
    """The largest in it, of any group and image."""

    @property
    def decided(self) -> bool:
        """Whether right and wrong could be told apart."""
        return self.status not in UNDECIDED


class DetectionCounts(Recorded):
    """Detections at a confidence, over all images."""

    confidence: float
    """From which on a detection counts, in 0..1."""
    reference: int
    """Detections of the reference."""
    kept: int
    """Those of them that the device has, too."""
    lost: int
    """Those that it has not."""
    spurious: int
    """Those that only the device has."""


class DetectionFigures(Recorded):
    """What users of a detector see."""

    images: int
    """How many were looked at."""
    folder: Text | None = None
    """Of a user's own pictures."""
    counts: list[DetectionCounts]
    """At several confidences."""
    rounding: bool = False
    """Whether all that is lost and spurious is so in a valid CPU run as well, or within the error allowed of one."""
    nonfinite: int
    """Places of the outputs with a NaN or an infinity."""
    ap: float | None = None
    """Average precision of the device over IoU 0.5 to 0.95, in 0..1; none without labels."""
    ap50: float | None = None
    """At IoU 0.5."""
    reference_ap: float | None = None
    """Average precision of the reference."""
    reference_ap50: float | None = None
    """At IoU 0.5."""
    no_ap: Text | None = None
    """Why it could not be computed, where there are labels."""


class Seconds(Recorded):
    """Wall clock, in seconds."""

    compile: float | None = None
    """From capture to load."""
    run: float | None = None
    """One call: the median of those after the first."""


def describe_outcome(status: Status, stage: Stage, signature: str | None, layer: str | None = None) -> str:
    """`error in compile (NCC_EVRF009)`, `wrong in compare, first in model.10`."""
    because = f" ({signature})" if signature else ""
    return f"{status.value} in {stage.value}{because}" + (f", first in {layer}" if layer else "")


MODEL = "model"  # the signature of what is the model's own fault, whoever compiles it


class Outcome(Recorded):
    """What the child process that compiles and runs reports about a case."""

    stage: Stage
    """How far it got."""
    status: Status
    """Of the first check that is not right, or that the program failed before any."""
    signature: Text | None = None
    """What tells one failure from another: the compiler's code, the exception's type, the signal."""
    detail: Text | None = None
    """A sentence for people."""
    evidence: Text | None = None
    """The folder on that host in which the graph, command line and log of a failed compile are kept."""
    hlo: Text | None = None
    """The file on that host with the HLO that the compiler was given: `conformance replay` runs it."""
    passes: list[Text] = Field(default_factory=list)
    """The compiler's passes that changed the program, as the setting `list-passes` asks for them."""
    front_end: Text | None = None
    """How that HLO differs from what torch-xla gives on the CPU for the same program; `equal` where it does not."""
    checks: list[Check] = Field(default_factory=list)
    """The verdicts, in the order they were given."""
    traceback: Text | None = None
    """Of an error of the suite's own."""
    invented: list[Text] = Field(default_factory=list)
    """Defects whose wrong answer the emulator has made up: nobody has published the real one."""
    defects: list[Text] = Field(default_factory=list)
    """Known defects that explain the failure."""
    helping: dict[Text, list[Text]] = Field(default_factory=dict)
    """For each of these, its workarounds that fit where the program triggers it."""
    groups: dict[Text, GroupFigures] = Field(default_factory=dict)
    """Figures of the output groups, of the call that is not right or else of the first."""
    layers: list[LayerFigures] = Field(default_factory=list)
    """Figures of the layers, in the order they run."""
    first_bad_layer: Text | None = None
    """Its path."""
    published_gate: PublishedGate | None = None
    """What a published test would have said, where there is one for the model."""
    same_program_as: Text | None = None
    """The id of a case that compiles to the same program: its answer is not measured twice."""
    detections: DetectionFigures | None = None
    """Of a detector with trained weights."""
    conditioning: dict[Text, Conditioning] = Field(default_factory=dict)
    """By dtype."""
    notes: list[Text] = Field(default_factory=list)
    """Facts that are no verdict."""
    environment: dict[Text, Text] = Field(default_factory=dict)
    """Versions of packages, and what else of the host decides a result."""
    executions: dict[Text, int] = Field(default_factory=dict)
    """On NeuronCores, as neuron-monitor has counted them, by how they ended, and errors by kind; none where it does
    not run."""
    seconds: Seconds = Field(default_factory=Seconds)
    """How long it took."""

    @property
    def summary(self) -> str:
        """`wrong in compare`, `error in lower (RuntimeError)`."""
        return describe_outcome(self.status, self.stage, self.signature)

    @property
    def decided(self) -> bool:
        """Whether this is a verdict: right or wrong, or that it failed."""
        return self.status not in UNDECIDED

    @property
    def failed(self) -> bool:
        """Whether it is decided and not right, be it in a layer in place alone."""
        return self.decided and self.status is not Status.PASS

    @property
    def models_own(self) -> bool:
        """Whether it is the model that cannot be judged: no target has anything to do with it."""
        return self.signature == MODEL or (self.status is Status.NONFINITE and self.stage is Stage.CAPTURE)

    @property
    def worst_ratio(self) -> float | None:
        """The largest error ratio of its groups."""
        return max((group.noise_ratio for group in self.groups.values()), default=None)

    @property
    def bad_images(self) -> tuple[int, ...]:
        """The numbers of the images of which any group is bad."""
        bad = {index for group in self.groups.values() for index, image in enumerate(group.per_image) if image.bad}
        return tuple(sorted(bad))

    def checked(self, aspect: Aspect) -> Check | None:
        """The verdict on an aspect: of several calls the first that is not right; None where it was not looked at."""
        found = [check for check in self.checks if check.of is aspect]
        return next((check for check in found if check.status is not Status.PASS), found[0] if found else None)

    @property
    def outputs_bad(self) -> bool:
        """Whether some group of the outputs is wrong."""
        return any(group.bad for group in self.groups.values())

    @property
    def worst_group(self) -> str | None:
        """Of the bad groups, or of all where none is, the one with the largest relative error; NaN is largest."""
        bad = {name: group for name, group in self.groups.items() if group.bad} or self.groups
        return max(bad, key=lambda name: (isnan(bad[name].rel_l2), bad[name].rel_l2), default=None)


def suite_error(stage: Stage, error: Exception) -> Outcome:
    """The outcome of an error of our own, which is being handled."""
    name, text = type(error).__name__, first_line(error)
    return Outcome(stage=stage, status=Status.SUITE_ERROR, signature=name, detail=text, traceback=format_exc())


class Record(Outcome):
    """A line of the records: the case, what came of it, and how to see it again."""

    model_config = ConfigDict(populate_by_name=True)

    schema_number: int = Field(default=SCHEMA, alias="schema")
    """Of the meaning of fields; 0 where a line has none."""
    revision: Text | None = Field(default_factory=suite_revision)
    """Of the suite that wrote the line."""
    id: Line
    """Of the case; it selects it with `--case`."""
    case: Case
    """In a file its fields lie beside the others."""
    emulated: bool
    """Whether no compiler and no device took part."""
    command: Text
    """Runs the case again."""
    started: datetime
    """A time without a zone is UTC."""
    finished: datetime
    """A time without a zone is UTC."""

    @field_validator("started", "finished")
    @classmethod
    def _utc(cls, time: datetime) -> datetime:
        try:
            return time.replace(tzinfo=timezone.utc) if time.tzinfo is None else time.astimezone(timezone.utc)
        except OverflowError:
            raise ValueError(f"{time} is no time of this calendar in UTC") from None

    @property
    def subject(self) -> Subject:
        """What was computed."""
        return self.case.subject

    @property
    def column(self) -> Column:
        """Who computed it."""
        return self.case.column

    @property
    def layer(self) -> str | None:
        """The layer, where it was compiled alone."""
        return self.case.layer

    @model_validator(mode="before")
    @classmethod
    def _embed(cls, found: Any) -> Any:
        """The case from its fields, which lie beside the others in a file."""
        if not isinstance(found, dict) or "case" in found:
            return found
        rest = {name: value for name, value in found.items() if name not in _CASE}
        subject, column = (
            {part.name: _shown(found[part.name]) for part in fields(kind) if part.name in found}
            for kind in (Subject, Column)
        )
        return rest | {"case": {"subject": subject, "column": column, "layer": _shown(found.get("layer"))}}

    @model_serializer(mode="wrap")
    def _flat(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """All fields of the case beside the others."""
        written: dict[str, Any] = {}
        for name, value in write(self).items():
            written |= (
                value["subject"] | {"layer": value["layer"]} | value["column"] if name == "case" else {name: value}
            )
        return written


_CASE = {part.name for kind in (Subject, Column, Case) for part in fields(kind)}


def _shown(value: Any) -> Any:
    """Text from outside, fit to be shown."""
    if isinstance(value, list):
        return tuple(map(_shown, value))
    return printable(value) if isinstance(value, str) else value
