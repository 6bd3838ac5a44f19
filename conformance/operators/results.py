"""What a target makes of each operator, measured with torch's samples of it. Reading it needs no torch."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from enum import Enum
from pathlib import Path

from conformance.cases.outcome import Line, Strict

MEASURED = Path(__file__).with_name("measured")  # the tables that are part of the suite


class State(str, Enum):
    """What came of a sample. `frozen`: computed from the example inputs when the program was traced. `refused`: with
    an error, its code or type as the signature. `not_exported`: torch.export has no graph of it. `undecided`: right
    and wrong cannot be told apart, as where two values are the same and either may come first."""

    RIGHT = "right"
    WRONG = "wrong"
    FROZEN = "frozen"
    REFUSED = "refused"
    CRASH = "crash"
    TIMEOUT = "timeout"
    UNSUPPORTED = "unsupported"
    NOT_EXPORTED = "not_exported"
    UNDECIDED = "undecided"


# What is a fault of the target, in the order of how bad it is.
FAULTS = (State.WRONG, State.FROZEN, State.CRASH, State.TIMEOUT, State.REFUSED)


class Sampled(Strict):
    """One sample: its number in torch's list and, if not as it is, in which form; what it is given in words. `ulp` is
    the largest error in units of the last place of the dtype, `eager` that of eager PyTorch; `ratio` the error by
    what is allowed of it, above 1 wrong. `exact`: no rounding is excused, as no value is computed."""

    sample: str
    state: State
    text: str = ""
    signature: Line | None = None
    detail: Line | None = None
    exact: bool = False
    ulp: float | None = None
    eager: float | None = None
    ratio: float | None = None


class Row(Strict):
    """An operator in a dtype: how many samples are right and the largest figures of these, the others one by one, and
    the operators of ATen that it is made of."""

    operator: str
    dtype: str
    right: int = 0
    exact: bool = False
    ulp: float | None = None
    eager: float | None = None
    ratio: float | None = None
    aten: tuple[str, ...] = ()
    others: tuple[Sampled, ...] = ()

    @property
    def state(self) -> State:
        """The worst."""
        states = {one.state for one in self.others}
        order = (*FAULTS, State.UNSUPPORTED, State.NOT_EXPORTED)
        return next((one for one in order if one in states), State.RIGHT if self.right else State.UNDECIDED)


class Results(Strict):
    """A file: of which target, with which versions, on which day."""

    target: str
    versions: dict[str, str]
    measured: date
    rows: list[Row]


def row(operator: str, dtype: str, samples: Iterable[Sampled], aten: tuple[str, ...]) -> Row:
    """The row of an operator's samples."""
    found = list(samples)
    right = [one for one in found if one.state is State.RIGHT]
    return Row(
        operator=operator,
        dtype=dtype,
        right=len(right),
        exact=bool(right) and all(one.exact for one in right),
        ulp=max((one.ulp for one in right if one.ulp is not None), default=None),
        eager=max((one.eager for one in right if one.eager is not None), default=None),
        ratio=max((one.ratio for one in right if one.ratio is not None), default=None),
        aten=aten,
        others=tuple(one for one in found if one.state is not State.RIGHT),
    )
