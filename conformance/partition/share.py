"""What was measured of a model, its parts, and the share of it that each way of cutting puts on the device."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

from conformance.core.errors import UserError, check


@dataclass(frozen=True)
class Cost:
    """Calls of operators, time in ms on the CPU, floating point operations of convolutions and matrix products."""

    calls: int = 0
    milliseconds: float = 0.0
    flops: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.calls + other.calls, self.milliseconds + other.milliseconds, self.flops + other.flops)


@dataclass(frozen=True)
class OperatorCost:
    """An operator as the model calls it, with all that it calls in turn; `part` is None outside the parts."""

    name: str
    part: str | None
    calls: int
    milliseconds: float


@dataclass(frozen=True)
class Part:
    """What can be compiled: its floating point operations, and the bytes that go into and come out of it."""

    name: str
    flops: int
    received: int
    returned: int


@dataclass(frozen=True)
class Cut:
    """A way of cutting: its programs, each of one part or of parts that run one after the other."""

    programs: tuple[tuple[str, ...], ...]

    @property
    def name(self) -> str:
        """`backbone+rpn-head, box-head`: fused with a plus."""
        return ", ".join("+".join(program) for program in self.programs)

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts that run on the device."""
        return tuple(part for program in self.programs for part in program)


@dataclass(frozen=True)
class Ratio:
    """A share of the whole, 0 to 1: by calls of operators, by time on the CPU, by floating point operations."""

    calls: float
    milliseconds: float
    flops: float


@dataclass(frozen=True)
class MeasuredPass:
    """One forward pass of a model. `flops` are those of all of it; `where` says what it was measured on."""

    model: str
    where: str
    operators: tuple[OperatorCost, ...]
    parts: tuple[Part, ...]
    flops: int

    def whole(self) -> Cost:
        """Of everything."""
        return _sum(self.operators, self.flops)

    def on_device(self, cut: Cut) -> Cost:
        """Of the parts that a cut compiles, as they cost on the CPU. Raises UserError for a part that there is not,
        or that is there twice."""
        for part in cut.parts:
            check("part", part, [part.name for part in self.parts])
            if cut.parts.count(part) > 1:
                raise UserError(f"{part} is in {cut.name!r} twice: it would be counted twice")
        flops = sum(part.flops for part in self.parts if part.name in cut.parts)
        return _sum((operator for operator in self.operators if operator.part in cut.parts), flops)

    def on_cpu(self, cut: Cut) -> Cost:
        """Of what a cut leaves on the CPU."""
        flops = sum(part.flops for part in self.parts if part.name in cut.parts)
        return _sum((operator for operator in self.operators if operator.part not in cut.parts), self.flops - flops)

    def ratio(self, cut: Cut) -> Ratio:
        """The share that runs on the device."""
        part, whole = self.on_device(cut), self.whole()
        return Ratio(*(getattr(part, field.name) / (getattr(whole, field.name) or 1) for field in fields(Ratio)))

    def moved(self, cut: Cut) -> int:
        """Bytes between CPU and device: what goes into each program's first part, and comes out of all of them."""
        parts = {part.name: part for part in self.parts}
        received = sum(parts[program[0]].received for program in cut.programs)
        return received + sum(parts[name].returned for name in cut.parts)


def by_name(operators: Iterable[OperatorCost]) -> dict[str, Cost]:
    """The cost of each operator over all parts, the dearest first."""
    costs: dict[str, Cost] = {}
    for operator in operators:
        costs[operator.name] = costs.get(operator.name, Cost()) + Cost(operator.calls, operator.milliseconds)
    return dict(sorted(costs.items(), key=lambda item: -item[1].milliseconds))


def _sum(operators: Iterable[OperatorCost], flops: int) -> Cost:
    return sum((Cost(o.calls, o.milliseconds) for o in operators), Cost(flops=flops))
