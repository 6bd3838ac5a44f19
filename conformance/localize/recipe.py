"""A small program as plain data: what goes in, the operators, what comes out. Nothing of torch is needed to change
it, and a script can be written of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from math import prod
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

# How the values of a tensor are made: `normal`, `positive` (0.5 to 1.5), `integers` (below `high`), `truth` (half of
# them true), `steps` (1, 2, 3 ...), `ones`.
Kind = Literal["normal", "positive", "integers", "truth", "steps", "ones"]


class Plain(BaseModel):
    """What cannot be changed."""

    model_config = ConfigDict(frozen=True)


class Values(Plain):
    """A tensor: its shape, how its values are made, their scale; of integers, what they are below."""

    shape: tuple[int, ...]
    kind: Kind = "normal"
    scale: float = 1.0
    high: int = 1


class Call(Plain):
    """An operator, `aten.split_with_sizes.default` or `getitem`, and what it is given: plain values, lists of them,
    `{"ref": name}` for a tensor, and objects for a dtype, a device, a memory format, and a number that JSON has not.
    """

    name: str
    target: str
    args: list[Any]
    kwargs: dict[str, Any] = {}


class Recipe(Plain):
    """A program. `inputs` are given by whoever calls it, `constants` are its own."""

    inputs: dict[str, Values]
    constants: dict[str, Values]
    calls: tuple[Call, ...]
    outputs: tuple[str, ...]

    @property
    def batch(self) -> int:
        """The first dimension of the first input."""
        return next((values.shape[0] for values in self.inputs.values() if values.shape), 1)

    @property
    def operators(self) -> int:
        """How many there are."""
        return sum(call.target != "getitem" for call in self.calls)

    @property
    def size(self) -> tuple[int, int]:
        """How many operators and how many values: what is to be small."""
        return self.operators, sum(prod(values.shape) for values in self._tensors())

    @property
    def numbers(self) -> list[int]:
        """The sizes that occur in it, the largest first."""
        found = {size for values in self._tensors() for size in values.shape}
        found |= {number for call in self.calls for number in _integers([call.args, list(call.kwargs.values())])}
        return sorted((number for number in found if 1 < number < 2**40), reverse=True)

    @property
    def lists(self) -> list[list[int]]:
        """The lists of whole numbers that operators are given."""
        return [found for call in self.calls for found in _lists([call.args, list(call.kwargs.values())])]

    def resized(self, sizes: Mapping[int, int]) -> Recipe:
        """The same with other numbers in the place of these, wherever they occur."""

        def new(value: Any) -> Any:
            return sizes.get(value, value) if type(value) is int else value

        calls = (
            call.model_copy(update={"args": mapped(call.args, new), "kwargs": mapped(call.kwargs, new)})
            for call in self.calls
        )
        return self.model_copy(
            update={
                "inputs": {name: _resized(values, sizes) for name, values in self.inputs.items()},
                "constants": {name: _resized(values, sizes) for name, values in self.constants.items()},
                "calls": tuple(calls),
            }
        )

    def of_batch(self, batch: int) -> Recipe:
        """The same with inputs of another first dimension, where they have that of the first."""
        own = self.batch
        inputs = {
            name: values.model_copy(update={"shape": (batch, *values.shape[1:])})
            if values.shape[:1] == (own,)
            else values
            for name, values in self.inputs.items()
        }
        return self.model_copy(update={"inputs": inputs})

    def valued(self, name: str, values: Values) -> Recipe:
        """The same with other values in a tensor."""
        where = "inputs" if name in self.inputs else "constants"
        return self.model_copy(update={where: {**getattr(self, where), name: values}})

    def giving(self, outputs: Sequence[str]) -> Recipe:
        """The same, as far as it is needed for these outputs."""
        needed, calls = set(outputs), []
        for call in reversed(self.calls):
            if call.name in needed:
                calls.append(call)
                needed |= set(refs([call.args, list(call.kwargs.values())]))
        kept = {
            where: {name: values for name, values in getattr(self, where).items() if name in needed}
            for where in ("inputs", "constants")
        }
        return self.model_copy(update={**kept, "calls": tuple(reversed(calls)), "outputs": tuple(outputs)})

    def _tensors(self) -> Iterator[Values]:
        yield from self.inputs.values()
        yield from self.constants.values()


def mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    """A nesting of lists and dicts with every plain value in it changed."""
    if isinstance(value, list):
        return [mapped(part, change) for part in value]
    if isinstance(value, dict):
        return {key: mapped(part, change) for key, part in value.items()}
    return change(value)


def refs(value: Any) -> Iterator[str]:
    """The names of the tensors in a nesting."""
    if isinstance(value, list):
        for part in value:
            yield from refs(part)
    elif isinstance(value, dict) and "ref" in value:
        yield value["ref"]


def _integers(value: Any) -> Iterator[int]:
    if isinstance(value, list):
        for part in value:
            yield from _integers(part)
    elif type(value) is int:
        yield value


def _lists(value: Any) -> Iterator[list[int]]:
    if isinstance(value, list):
        if len(value) > 1 and all(type(part) is int for part in value):
            yield value
        for part in value:
            yield from _lists(part)


def _resized(values: Values, sizes: Mapping[int, int]) -> Values:
    return values.model_copy(update={"shape": tuple(sizes.get(size, size) for size in values.shape)})
