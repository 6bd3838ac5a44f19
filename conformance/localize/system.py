"""Recipes as a system: a variant is a recipe's JSON. What is judged is judged as any model is."""

from __future__ import annotations

from functools import reduce
from math import prod
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from conformance.cases.case import Subject
from conformance.core.deferred import nn, torch
from conformance.core.errors import UserError
from conformance.core.store import digest
from conformance.localize.recipe import Recipe, Values
from conformance.systems.base import BaseSystem
from conformance.systems.protocol import Model

if TYPE_CHECKING:
    from torch import Tensor

SYSTEM = "conformance.localize.system:Recipes"
TASK = "recipe"


class Recipes(BaseSystem):
    """Every program there is."""

    name = "recipes"
    variants = ()
    tasks: tuple[str, ...] = (TASK,)
    licence = "Apache-2.0"

    def stride(self, task: str) -> int:
        """Nothing: the inputs have their own shapes."""
        return 1

    def build(self, variant: str, task: str, weights: str | None = None) -> Model:
        """The recipe as a module. Raises UserError for what is no recipe."""
        return Model(module_of(from_json(variant)).eval(), (), digest({"recipe": variant}))

    def parameters(self, variant: str, task: str) -> int:
        """How many numbers its constants have."""
        return sum(constant.numel() for constant in self.build(variant, task).module.buffers())

    def inputs(self, subject: Subject, index: int) -> tuple[Tensor, ...]:
        """The recipe's own inputs."""
        recipe = from_json(subject.variant)
        return tuple(made(values, 10 * index + number) for number, values in enumerate(recipe.inputs.values()))


def subject_of(recipe: Recipe, dtype: str) -> Subject:
    """What is computed by a recipe in a dtype."""
    return Subject(Recipes.name, recipe.model_dump_json(), TASK, recipe.batch, None, None, dtype)


def from_json(text: str) -> Recipe:
    """The recipe of a variant. Raises UserError."""
    try:
        return Recipe.model_validate_json(text)
    except ValidationError as error:
        raise UserError(f"no recipe: {error.errors()[0]['msg']}") from None


def made(values: Values, seed: int) -> Tensor:
    """A tensor as a script of the recipe makes it."""
    generator = torch.Generator().manual_seed(seed)
    if values.kind == "integers":
        return torch.randint(values.high, values.shape, generator=generator)
    if values.kind == "truth":
        return torch.rand(values.shape, generator=generator) < 0.5
    if values.kind == "positive":
        return torch.rand(values.shape, generator=generator) + 0.5
    if values.kind == "ones":
        return torch.ones(values.shape)
    if values.kind == "steps":
        return torch.arange(seed + 1.0, seed + prod(values.shape) + 1).reshape(values.shape)
    return values.scale * torch.randn(values.shape, generator=generator)


def module_of(recipe: Recipe) -> nn.Module:
    """The program as a module, whose constants are buffers."""

    class Program(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            for number, (name, values) in enumerate(recipe.constants.items()):
                self.register_buffer(name, made(values, 1000 + number))

        def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
            known: dict[str, Any] = dict(zip(recipe.inputs, inputs, strict=True)) | dict(self.named_buffers())
            for call in recipe.calls:
                args = _filled(call.args, known, inputs)
                kwargs = {key: _filled(value, known, inputs) for key, value in call.kwargs.items()}
                known[call.name] = (
                    args[0][args[1]] if call.target == "getitem" else _function(call.target)(*args, **kwargs)
                )
            return tuple(known[name] for name in recipe.outputs)

    return Program()


def _function(target: str) -> Any:
    return reduce(getattr, target.split("."), torch.ops)


def _filled(value: Any, known: dict[str, Any], inputs: tuple[Tensor, ...]) -> Any:
    """What an operator is given, with tensors in the place of their names."""
    if isinstance(value, list):
        return [_filled(part, known, inputs) for part in value]
    if not isinstance(value, dict):
        return value
    if "ref" in value:
        return known[value["ref"]]
    if "device" in value:
        return inputs[0].device if inputs else torch.device("cpu")
    if "float" in value:
        return float(value["float"])
    for kind in ("dtype", "memory_format", "layout"):
        if kind in value:
            return getattr(torch, value[kind])
    return {key: _filled(part, known, inputs) for key, part in value.items()}
