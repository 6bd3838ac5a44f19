"""A program that is cut out of a model's graph: its operators, by their numbers in the order of computing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from conformance.core.errors import UserError

PREFIX = "ops:"
_TEXT = re.compile(
    r"ops:(?P<operators>\d+(?:-\d+)?(?:,\d+(?:-\d+)?)*)(?::cut(?P<cut>\d+))?(?::show(?P<shown>\d+(?:,\d+)*))?"
)


@dataclass(frozen=True)
class Operator:
    """An operator of a model's graph: what it is (`aten.split_with_sizes.default`), the module and the line of source
    that call it, the shape of what it gives, and the operators whose values it takes. Where it is `apart`, what comes
    before it can be cut off: no later operator writes into what is known by two names there."""

    number: int
    name: str
    target: str
    module: str
    line: str
    shape: tuple[int, ...]
    takes: tuple[int, ...]
    apart: bool


@dataclass(frozen=True)
class Span:
    """Operators that are compiled together, fed with the reference's values; they need not be neighbours. With a
    `cut` they are two programs, the second from that operator on, which is given what the first gave. The values of
    those that are `shown` are given out as well."""

    operators: tuple[int, ...]
    cut: int | None = None
    shown: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.operators)

    def __str__(self) -> str:
        """`ops:3-40,45:cut21:show12`: the layer of its case."""
        cut = "" if self.cut is None else f":cut{self.cut}"
        shown = f":show{','.join(map(str, self.shown))}" if self.shown else ""
        return f"{PREFIX}{','.join(_runs(self.operators))}{cut}{shown}"


def _runs(numbers: Sequence[int]) -> Iterator[str]:
    """`3-40`, `45`."""
    breaks = [index for index, (one, other) in enumerate(pairwise(numbers), 1) if other != one + 1]
    for start, stop in pairwise([0, *breaks, len(numbers)]):
        run = numbers[start:stop]
        yield str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}"


def is_span(layer: str | None) -> bool:
    """Whether the layer of a case is a span."""
    return layer is not None and layer.startswith(PREFIX)


def parse_span(text: str) -> Span:
    """The span that this says. Raises UserError."""
    match = _TEXT.fullmatch(text)
    if not match:
        raise UserError(f"{text!r} is no span of operators; one looks like 'ops:3-40,45'")
    numbers: list[int] = []
    for run in match["operators"].split(","):
        first, _, last = run.partition("-")
        numbers += range(int(first), int(last or first) + 1)
    if any(one >= other for one, other in pairwise(numbers)) or not numbers:
        raise UserError(f"{text!r}: the operators of a span are named in ascending order")
    shown = tuple(map(int, match["shown"].split(","))) if match["shown"] else ()
    return Span(tuple(numbers), int(match["cut"]) if match["cut"] else None, shown)
