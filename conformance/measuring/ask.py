"""What a child is asked about an operator, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel

from conformance.cases.case import Case, Column, Subject
from conformance.cases.outcome import Outcome, Stage, Status
from conformance.operators.results import Sampled, State

TASK = "operator"
_LONGEST = 300  # characters of what a compiler says
TOGETHER = "all in one program"
_STATES = {Status.UNSUPPORTED: State.UNSUPPORTED, Status.CRASH: State.CRASH}


@dataclass(frozen=True)
class Ask:
    """The samples of an operator in a dtype through a target: all in one program, or one of this name alone."""

    operator: str
    dtype: str
    target: str
    column: Column
    sample: str | None = None

    @property
    def case(self) -> Case:
        """What the target takes it for: whole numbers are computed in programs of float32."""
        dtype = "float32" if self.dtype == "int64" else self.dtype
        return Case(Subject("operators", self.operator, TASK, 1, None, None, dtype), self.column)


class Answer(BaseModel):
    """What came of an ask: the samples, or, of several of which not all are right, `apart`, the names of those that
    are to be asked for one by one, and what came of the `whole`; the operators of ATen that they are made of. `died`:
    the child has not lived to answer."""

    samples: list[Sampled] = []
    apart: list[str] = []
    whole: Sampled | None = None
    died: Sampled | None = None
    aten: list[str] = []


def sampled(name: str, text: str, outcome: Outcome) -> Sampled:
    """A sample of which the target gave nothing."""
    state = _STATES.get(outcome.status, State.REFUSED)
    if outcome.stage is Stage.CAPTURE and state is State.REFUSED:
        state = State.NOT_EXPORTED
    return Sampled(
        sample=name, state=state, text=text, signature=outcome.signature, detail=(outcome.detail or "")[:_LONGEST]
    )
