"""A sample as a program: which of its tensors are given, and which are the program's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_unflatten

from conformance.operators.database import Given, samples, takes
from conformance.programs.program import tensors

MOST = {"float32": 4}  # samples of an operator that are tried as they are, by dtype
_MOST = 2
_LARGEST = 1 << 20  # values of a sample


class Form(str, Enum):
    """How a sample is handed over: every tensor as an input; all but the first as constants of the program; in
    transposed memory that the program transposes back; one tensor in two places."""

    GIVEN = "given"
    CONSTANTS = "constants"
    STRIDED = "strided"
    ALIASED = "aliased"


@dataclass(frozen=True)
class Sample:
    """A program, of one operator as a rule, and two sets of inputs of the same shapes. Of one that is another
    spelling of a computation `first` is the spelling that says what is right."""

    name: str
    module: nn.Module
    inputs: tuple[Tensor, ...]
    others: tuple[Tensor, ...]
    text: str
    first: nn.Module | None = None


class Call(nn.Module):
    """An operator with places for its inputs; the other tensors are buffers."""

    def __init__(self, function: Callable[..., Any], spec: Any, leaves: Sequence[Any], form: Form) -> None:
        super().__init__()
        self.function, self.spec, self.form = function, spec, form
        self.leaves = [None if isinstance(leaf, Tensor) else leaf for leaf in leaves]
        self.places = [number for number, leaf in enumerate(leaves) if isinstance(leaf, Tensor)]
        if form is Form.CONSTANTS:
            del self.places[1:]
        self.alias = self.places.pop(1) if form is Form.ALIASED else -1
        for number, leaf in enumerate(leaves):
            if isinstance(leaf, Tensor) and number not in (*self.places, self.alias):
                self.register_buffer(f"constant{number}", leaf.clone())

    @property
    def numbers(self) -> list[float]:
        """The plain numbers that the operator is given."""
        return [float(leaf) for leaf in self.leaves if isinstance(leaf, (int, float))]

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """What the operator gives, flattened."""
        leaves = [getattr(self, f"constant{number}", leaf) for number, leaf in enumerate(self.leaves)]
        for place, x in zip(self.places, inputs, strict=True):
            leaves[place] = x.mT if self.form is Form.STRIDED and x.dim() > 1 else x
        if self.form is Form.ALIASED:
            leaves[self.alias] = leaves[self.places[0]]
        args, kwargs = tree_unflatten(leaves, self.spec)
        return tensors(self.function(*args, **kwargs))


class Together(nn.Module):
    """Several programs as one."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        super().__init__()
        self.parts = nn.ModuleList(sample.module for sample in samples)
        self.counts = [len(sample.inputs) for sample in samples]

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """What each gives, one after the other."""
        given = iter(inputs)
        return tuple(
            y
            for part, count in zip(self.parts, self.counts, strict=True)
            for y in part(*(next(given) for _ in range(count)))
        )


@lru_cache(maxsize=2)
def made(operator: str, dtype: str) -> tuple[Sample, ...]:
    """Those of an operator that are tried, by dtype; none where it takes none of the dtype, or no tensor."""
    stored = getattr(torch, dtype)
    if not takes(operator, stored):
        return ()
    first, second = (samples(operator, stored, seed) for seed in (0, 1))
    pairs = list(zip(first, second, strict=False))
    return tuple(_made(pairs, MOST.get(dtype, _MOST)))


def _made(pairs: Sequence[tuple[Given, Given]], most: int) -> Iterator[Sample]:
    seen: dict[str, tuple[int, Sample]] = {}
    for number, (one, other) in enumerate(pairs):
        kind = one.form
        if kind not in seen and (found := _sample(number, one, other, Form.GIVEN)) is not None:
            seen[kind] = number, found
    numbers, given = [number for number, _ in seen.values()], [sample for _, sample in seen.values()]
    yield from given[:: max(1, len(given) // most)][:most]
    for form in (Form.CONSTANTS, Form.STRIDED, Form.ALIASED) if most > _MOST else ():
        for number in numbers:
            if (found := _sample(number, *pairs[number], form)) is not None:
                yield found
                break


def _sample(number: int, one: Given, other: Given, form: Form) -> Sample | None:
    """A sample in a form; None where it has none, is of no or of too many values."""
    leaves, spec = tree_flatten((one.args, dict(one.kwargs)))
    others = tree_flatten((other.args, dict(other.kwargs)))[0]
    held = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
    if not held or len(others) != len(leaves) or not all(0 < x.numel() <= _LARGEST for x in held):
        return None
    if any(x.layout != torch.strided or x.is_quantized for x in held):
        return None
    if not _goes_with(form, held):
        return None
    module = Call(one.function, spec, leaves, form)
    inputs, more = ([_as_given(found[place], form) for place in module.places] for found in (leaves, others))
    if any(not isinstance(y, Tensor) or x.shape != y.shape for x, y in zip(inputs, more, strict=True)):
        return None
    if all(map(torch.equal, inputs, more)):  # it could not be seen whether it is computed anew
        return None
    name = str(number) if form is Form.GIVEN else f"{number} {form.value}"
    return Sample(name, module, tuple(inputs), tuple(more), _text(one))


def _goes_with(form: Form, held: Sequence[Tensor]) -> bool:
    if form is Form.STRIDED:
        return any(x.dim() > 1 for x in held)
    alike = len(held) > 1 and (held[0].shape, held[0].dtype) == (held[1].shape, held[1].dtype)
    return {Form.GIVEN: True, Form.CONSTANTS: len(held) > 1, Form.ALIASED: alike}[form]


def _as_given(leaf: Any, form: Form) -> Any:
    if not isinstance(leaf, Tensor):
        return leaf
    leaf = leaf.detach().contiguous()
    return leaf.mT.contiguous() if form is Form.STRIDED and leaf.dim() > 1 else leaf


def _text(given: Given) -> str:
    """`(5, 5), (5,), dim=1`."""
    said = [*map(_said, given.args), *(f"{name}={_said(value)}" for name, value in given.kwargs.items())]
    return ", ".join(said)[:160]


def _said(value: Any) -> str:
    if isinstance(value, Tensor):
        return str(tuple(value.shape))
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_said, value))}]"
    return str(value)
