"""Whether a part of a model's graph fails as the whole does: compiled, run and judged as any case is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, log
from time import perf_counter

from conformance.cases.case import Case, Subject
from conformance.cases.options import CALLS
from conformance.cases.outcome import Outcome, Stage, Status
from conformance.cases.span import Operator, Span
from conformance.checking.check import Tell
from conformance.core.errors import ModelError, UserError
from conformance.localize.search import Verdict
from conformance.running.child import Job
from conformance.running.worker import Worker

NUMBERS = frozenset({Status.WRONG, Status.NONFINITE})
_MISSED = 0.01  # how likely it may be that what fails now and then is taken to be right
_MOST_CALLS = 400


@dataclass(frozen=True)
class Trial:
    """A part that was compiled and run: what came of it, what that says, and the seconds that it took."""

    span: Span
    outcome: Outcome
    verdict: Verdict
    seconds: float


class Oracle:
    """Asks a worker. `trials` are those that were made; none is made twice."""

    def __init__(self, job: Job, worker: Worker, whole: Outcome, tell: Tell) -> None:
        self.job, self.worker, self.whole, self._tell = job, worker, whole, tell
        self.trials: dict[Span, Trial] = {}
        self.compiles = 0
        self.calls = CALLS

    def operators(self) -> list[Operator]:
        """Those of the case's program. Raises UserError and ModelError where there is no graph of it."""
        return self.worker.operators(self.job, self.worker.variables(self.job))

    def ask(self, span: Span) -> Verdict:
        """Whether a part fails as the whole does."""
        return self.tried(span).verdict

    def tried(self, span: Span) -> Trial:
        """What came of a part."""
        if span not in self.trials:
            start = perf_counter()
            outcome = self.run(str(span))
            trial = Trial(span, outcome, verdict(outcome, self.whole), perf_counter() - start)
            self.compiles += 1 if span.cut is None else 2
            self._tell(f"{span}: {trial.verdict.value}")
            self.trials[span] = trial
        return self.trials[span]

    def first_wrong(self, span: Span) -> int | None:
        """Of the operators that are shown, the first whose value is wrong."""
        names = {operator.name: operator.number for operator in self.operators()}
        bad = (name for name, group in self.tried(span).outcome.groups.items() if group.bad)
        return min((names[name] for name in bad if name in names), default=None)

    def run(self, layer: str | None, subject: Subject | None = None) -> Outcome:
        """The outcome of a part, or of the whole model; of another subject, as of more images, where one is given."""
        job = replace(self._of(subject, layer), calls=self.calls)
        return self.worker.run(job, self.worker.variables(job))

    def is_same_graph(self, subject: Subject, operators: Sequence[Operator]) -> bool:
        """Whether the program of another subject has the same operators in the same order."""
        job = self._of(subject, None)
        try:
            others = self.worker.operators(job, self.worker.variables(job))
        except (UserError, ModelError):  # it cannot be of this size
            return False
        return [one.target for one in others] == [one.target for one in operators]

    def _of(self, subject: Subject | None, layer: str | None) -> Job:
        case = self.job.case
        return replace(self.job, case=Case(subject or case.subject, case.column, layer))


def calls_for(rate: float) -> int:
    """How often a program that fails at this rate is called, with two sets of images in turn, so that it is taken to
    be right in one of a hundred times."""
    often = 2 * ceil(log(_MISSED) / log(1 - min(max(rate, 0.01), 0.99)))
    return min(max(CALLS, often), _MOST_CALLS)


def verdict(part: Outcome, whole: Outcome) -> Verdict:
    """Whether a part fails in the same way as the whole: with wrong numbers, or with the same signature."""
    if part.status is Status.PASS:
        return Verdict.RIGHT
    if whole.status in NUMBERS:
        same = part.status in NUMBERS and part.stage is not Stage.CAPTURE
    else:
        same = (part.status, part.stage, part.signature) == (whole.status, whole.stage, whole.signature)
    return Verdict.WRONG if same else Verdict.UNKNOWN
