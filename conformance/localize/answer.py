"""What is to blame for a case that is not right, and what shows it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pydantic import BaseModel, ConfigDict

from conformance.cases.outcome import Outcome, Status, describe_outcome
from conformance.cases.span import Operator
from conformance.localize.oracle import Trial
from conformance.localize.search import Kind
from conformance.report.formatting import plural

_LISTED = 12


class Place(BaseModel):
    """An operator to blame: its number in the graph, its name there, what it is, and where it is called."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    number: int
    name: str
    target: str
    module: str
    line: str
    shape: tuple[int, ...]

    def __str__(self) -> str:
        """`aten.split_with_sizes.default in model.10.m.0.attn (block.py:1301)`."""
        scope = f" in {self.module}" if self.module else ""
        return f"{self.target}{scope}{f' ({self.line})' if self.line else ''}"


class Evidence(BaseModel):
    """A part that was compiled and run; `layer` is that of its case."""

    layer: str
    verdict: str
    status: str
    error_ratio: float | None
    seconds: float


class Rate(BaseModel):
    """How often it failed, of how many times, and the interval in which the true rate is with 95 % confidence
    (Wilson)."""

    failed: int
    of: int
    low: float
    high: float

    def __str__(self) -> str:
        """`3 of 16, 7 % to 43 %`."""
        return f"{self.failed} of {self.of} times, {self.low:.1%} to {self.high:.1%} with 95 % confidence"


class Answer(BaseModel):
    """What is to blame: `places` are operators, or spans of them that are wrong together.

    Of a case that is wrong only in context, and of drift, the case's parts are right on either side of `boundary`.
    `images` and `groups` are those of the model's output that are wrong, `from_batch` and `from_size` the smallest
    batch and resolution at which it is, as far as was tried, `defects` the known ones that explain it. `compiles`
    were made of a model of `operators`.
    """

    case: str
    kind: Kind
    places: tuple[tuple[Place, ...], ...] = ()
    boundary: Place | None = None
    note: str = ""
    images: tuple[int, ...] = ()
    groups: tuple[str, ...] = ()
    from_batch: int | None = None
    from_size: str | None = None
    defects: tuple[str, ...] = ()
    rate: Rate | None = None
    operators: int = 0
    compiles: int = 0
    seconds: float = 0
    evidence: tuple[Evidence, ...] = ()

    @property
    def found(self) -> bool:
        """Whether it says what is to blame."""
        return self.kind not in (Kind.NOT_REPRODUCED, Kind.UNDECIDED)

    @property
    def span(self) -> tuple[int, ...]:
        """The numbers of the operators of the first place."""
        return tuple(place.number for place in self.places[0]) if self.places else ()

    def lines(self) -> Iterator[str]:
        """What `conformance localize` prints."""
        yield _HEADLINES[self.kind]
        for place in self.places[:_LISTED]:
            if len(place) > _LISTED:
                yield f"  operators {place[0].number} to {place[-1].number}: {place[0]} to {place[-1]}"
            else:
                yield from (f"  {'- ' if number == 0 else '  '}{part}" for number, part in enumerate(place))
        if len(self.places) > _LISTED:
            yield f"  and {len(self.places) - _LISTED} more"
        if self.boundary is not None:
            yield f"  right when cut before {self.boundary}"
        if self.note:
            yield f"  {self.note}"
        if self.rate is not None:
            yield f"  fails {self.rate}"
        if self.images or self.groups:
            yield f"  wrong in images {', '.join(map(str, self.images))}, groups {', '.join(self.groups)}"
        if self.from_batch is not None or self.from_size is not None:
            size = f", from {self.from_size} on" if self.from_size else ""
            yield f"  from batch {self.from_batch} on{size}"
        if self.defects:
            yield f"  known: {', '.join(self.defects)}"
        yield f"  {plural(self.compiles, 'compile')} of parts of {self.operators} operators, {self.seconds:.0f} s"


_HEADLINES = {
    Kind.OPERATOR: "OPERATOR: wrong by itself, fed with what the reference has there",
    Kind.SPAN: "SPAN: these operators are wrong together, and each is right by itself",
    Kind.CONTEXT: "ONLY IN CONTEXT: no short part of the model is wrong by itself",
    Kind.DRIFT: "DRIFT: no operator is to blame; each part is as near as rounding, and their errors add up",
    Kind.INTERMITTENT: "INTERMITTENT: right in some calls, wrong in others",
    Kind.UNDECIDED: "UNDECIDED: nothing smaller than this could be told to be wrong",
    Kind.NOT_REPRODUCED: "NOT REPRODUCED: it is right now",
}


def places(operators: Sequence[Operator], numbers: Sequence[Sequence[int]]) -> tuple[tuple[Place, ...], ...]:
    """What is known of operators by their numbers."""
    return tuple(tuple(Place.model_validate(operators[number]) for number in place) for place in numbers)


def evidence(trials: Sequence[Trial]) -> tuple[Evidence, ...]:
    """What was compiled and run, in order."""
    return tuple(
        Evidence(
            layer=str(trial.span),
            verdict=trial.verdict.value,
            status=_status(trial.outcome),
            error_ratio=trial.outcome.worst_ratio,
            seconds=trial.seconds,
        )
        for trial in trials
    )


def _status(outcome: Outcome) -> str:
    if outcome.status is Status.PASS:
        return str(outcome.status.value)
    return describe_outcome(outcome.status, outcome.stage, outcome.signature)


def rate(failed: int, of: int) -> Rate:
    """How often it fails, with its interval."""
    from scipy.stats import binomtest

    low, high = binomtest(failed, of).proportion_ci(method="wilson")
    return Rate(failed=failed, of=of, low=float(low), high=float(high))
