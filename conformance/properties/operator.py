"""What an operator is: which values it takes, its arguments, how it is called and how it is spelled."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from math import prod
from typing import Any, Protocol

import torch
from hypothesis import strategies as st
from torch import Tensor

Arguments = dict[str, Any]  # of a step; the types are the program's
MOST_VALUES = 4096  # of one tensor, over the whole batch: programs are small
MOST_DIMENSIONS = 6


@dataclass(frozen=True)
class Shaped:
    """A value while a program is generated. `plain` and `turned` are zeros that went through the steps: of contiguous
    inputs, and of inputs in channels-last. They say what shape it has, and where a view of it is possible.

    `axis` is where the batch is; along it there are `each` values an image. `apart`: its values are all different,
    and far enough that ranking them is no matter of rounding.
    """

    plain: Tensor
    turned: Tensor
    axis: int = 0
    each: int = 1
    apart: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape, the batch included."""
        return tuple(self.plain.shape)

    @property
    def rank(self) -> int:
        """How many dimensions."""
        return len(self.shape)

    @property
    def own(self) -> list[int]:
        """The dimensions that are not the batch's."""
        return [dim for dim in range(self.rank) if dim != self.axis]

    def can_grow(self, factor: int) -> bool:
        """Whether a value this many times as large is still small."""
        return prod(self.shape) * factor <= MOST_VALUES


@dataclass(frozen=True)
class Weight:
    """A constant of a step, seeded. `scale`d normal numbers; whole numbers below `below`; or positive ones."""

    shape: tuple[int, ...]
    scale: float = 1.0
    below: int | None = None
    positive: bool = False

    def make(self, seed: int) -> Tensor:
        """The tensor: float32, or int64 below a number."""
        generator = torch.Generator().manual_seed(seed)
        if self.below is not None:
            return torch.randint(self.below, self.shape, generator=generator)
        if self.positive:
            return torch.rand(self.shape, generator=generator) + 0.5
        return torch.randn(self.shape, generator=generator) * self.scale

    def source(self, seed: int) -> str:
        """The expression that makes it."""
        shape, generator = list(self.shape), f"generator=torch.Generator().manual_seed({seed})"
        if self.below is not None:
            return f"torch.randint({self.below}, {shape}, {generator})"
        if self.positive:
            return f"torch.rand({shape}, {generator}) + 0.5"
        return f"torch.randn({shape}, {generator}) * {self.scale!r}"


def divisors(number: int) -> list[int]:
    """Of a number from 1 on, in order."""
    return [n for n in range(1, number + 1) if number % n == 0]


class Spelling(Protocol):
    """The same operation twice: done, and as an expression. Weights stand behind the values."""

    def call(self, values: Sequence[Tensor], arguments: Arguments) -> Tensor | Sequence[Tensor]:
        """Do it."""

    def source(self, names: Sequence[str], arguments: Arguments) -> str:
        """Spell it."""


def written_arguments(arguments: Mapping[str, Any], positional: Sequence[str] = ()) -> list[str]:
    """Arguments as they are written in a call."""
    return [
        *(spelled(arguments[name]) for name in positional if name in arguments),
        *(f"{name}={spelled(value)}" for name, value in arguments.items() if name not in positional),
    ]


def spelled(value: Any) -> str:
    """One argument; sequences as lists."""
    return repr(list(value) if isinstance(value, tuple) else value)


@dataclass(frozen=True)
class Function:
    """`torch.cat([a, b], dim=1)`, `F.conv2d(a, weight, stride=2)`: a function of torch, or of its functional (F).
    `of_weights` are arguments that say how large its weights are, and are none of the call."""

    path: str
    as_list: bool = False
    of_weights: tuple[str, ...] = ()

    def call(self, values: Sequence[Tensor], arguments: Arguments) -> Any:
        """Call it."""
        root, *rest = self.path.split(".")
        function = reduce(getattr, rest, {"torch": torch, "F": torch.nn.functional}[root])
        passed = self._passed(arguments)
        return function(list(values), **passed) if self.as_list else function(*values, **passed)  # type: ignore[operator]

    def source(self, names: Sequence[str], arguments: Arguments) -> str:
        """Spell it."""
        given = [f"[{', '.join(names)}]"] if self.as_list else list(names)
        return f"{self.path}({', '.join([*given, *written_arguments(self._passed(arguments))])})"

    def _passed(self, arguments: Arguments) -> Arguments:
        return {name: value for name, value in arguments.items() if name not in self.of_weights}


@dataclass(frozen=True)
class Method:
    """`a.split([2, 4], dim=1)`; `then` is an attribute of the result, `.values`."""

    name: str
    positional: tuple[str, ...] = ()
    then: str | None = None

    def call(self, values: Sequence[Tensor], arguments: Arguments) -> Any:
        """Call it."""
        first = [arguments[name] for name in self.positional if name in arguments]
        rest = {name: value for name, value in arguments.items() if name not in self.positional}
        result = getattr(values[0], self.name)(*values[1:], *first, **rest)
        return getattr(result, self.then) if self.then else result

    def source(self, names: Sequence[str], arguments: Arguments) -> str:
        """Spell it."""
        given = ", ".join([*names[1:], *written_arguments(arguments, self.positional)])
        return f"{names[0]}.{self.name}({given})" + (f".{self.then}" if self.then else "")


@dataclass(frozen=True)
class Infix:
    """`a * b`."""

    sign: str

    def call(self, values: Sequence[Tensor], arguments: Arguments) -> Any:
        """Do it."""
        done = {"*": operator.mul, "+": operator.add, "@": operator.matmul}[self.sign]
        return done(*values)

    def source(self, names: Sequence[str], arguments: Arguments) -> str:
        """Spell it."""
        return f" {self.sign} ".join(names)


Draws = Callable[[Sequence[Shaped]], st.SearchStrategy[Arguments]]


def no_arguments(values: Sequence[Shaped]) -> st.SearchStrategy[Arguments]:
    """Of an operator that has none."""
    return st.just({})


def stays(value: Shaped, arguments: Arguments) -> tuple[int, int]:
    """(axis, each) of the results where the batch stays as it is."""
    return value.axis, value.each


@dataclass(frozen=True)
class OpSpec:
    """One line of the table.

    `accepts` says whether a value can be its first; `partner`, where it takes two or more, whether a value goes
    with the first one. `arguments` draws valid ones for the values. `weights` are its constants for the shapes of
    the values. `batch` says where the batch is in its results. `moves`: no value is changed or doubled, only moved.
    `ranks`: its result jumps where two values are nearly equal, so that it only takes values that are apart. `many`:
    it gives a sequence, if only of one. `weight`: how much more often than others it is drawn: what vision models
    are full of, and what triggers known defects.
    """

    name: str
    spelling: Spelling
    accepts: Callable[[Shaped], bool] = lambda value: True
    arguments: Draws = no_arguments
    partner: Callable[[Shaped, Shaped], bool] | None = None
    most_partners: int = 1
    weights: Callable[[Sequence[tuple[int, ...]], Arguments], Mapping[str, Weight]] = lambda shapes, arguments: {}
    batch: Callable[[Shaped, Arguments], tuple[int, int]] = stays
    moves: bool = False
    ranks: bool = False
    many: bool = False
    weight: int = 1
