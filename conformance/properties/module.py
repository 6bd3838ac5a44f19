"""The interpreter: a module that runs a program's steps, and the inputs it is run with."""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor, nn

from conformance.core.errors import check
from conformance.properties.operator import OpSpec, Weight
from conformance.properties.operators import OPERATORS
from conformance.properties.program import ProgramSpec, Step


def operator_of(step: Step) -> OpSpec:
    """The operator of a step. Raises UserError."""
    return OPERATORS[check("operator", step.operator, OPERATORS)]


def results_of(operator: OpSpec, step: Step, values: list[Tensor]) -> tuple[Tensor, ...]:
    """What a step gives for values and, behind them, its weights."""
    done = operator.spelling.call(values, step.arguments)
    return (done,) if isinstance(done, Tensor) else tuple(done)


def weight_name(step: int, name: str) -> str:
    """What a constant of a step is called in the module."""
    return f"{name}{step}"


def seed_of(step: int, index: int) -> int:
    """The seed of a step's constant: by its index among them."""
    return 100 * step + index


class Steps(nn.Module):
    """Runs a program: its inputs to its outputs. Constants are buffers, seeded by step."""

    def __init__(self, program: ProgramSpec) -> None:
        super().__init__()
        self.program = program
        self.operators = [operator_of(step) for step in program.steps]
        self.weights: list[list[str]] = []
        for number, made in enumerate(weights(program)):
            for index, (name, weight) in enumerate(made.items()):
                self.register_buffer(weight_name(number, name), weight.make(seed_of(number, index)))
            self.weights.append([weight_name(number, name) for name in made])

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """The values that no step reads."""
        values = [*map(self.seen, inputs)]
        for step, operator, names in zip(self.program.steps, self.operators, self.weights, strict=True):
            given = [values[index] for index in step.inputs] + [getattr(self, name) for name in names]
            results = results_of(operator, step, given)
            values += results if operator.moves else map(self.seen, results)
        return tuple(values[index] for index in self.program.outputs)

    def seen(self, value: Tensor) -> Tensor:
        """A computed value as later steps read it."""
        return value


def weights(program: ProgramSpec) -> list[dict[str, Weight]]:
    """The constants of every step, by torch's own rule of what shape each step has."""
    values = [torch.zeros(shape) for shape in program.inputs]
    made = []
    for step in program.steps:
        operator = operator_of(step)
        given = [values[index] for index in step.inputs]
        made.append(dict(operator.weights([tuple(x.shape) for x in given], step.arguments)))
        values += results_of(operator, step, [*given, *map(zeros, made[-1].values())])
    return made


def zeros(weight: Weight) -> Tensor:
    """A constant without its numbers."""
    return torch.zeros(weight.shape, dtype=torch.float32 if weight.below is None else torch.int64)


def example_inputs(program: ProgramSpec, index: int) -> tuple[Tensor, ...]:
    """Float32 in -1.3 .. 2.7, all values of one input different and evenly spread, so that ranking them is no matter
    of rounding; and no few of them sum to nothing. Another index gives other inputs."""
    return tuple(spread(shape, 1000 + 100 * index + number) for number, shape in enumerate(program.inputs))


def spread(shape: tuple[int, ...], seed: int) -> Tensor:
    """Evenly spread values in a random order."""
    order = torch.randperm(prod(shape), generator=torch.Generator().manual_seed(seed))
    return ((order + 0.5) * (4 / prod(shape)) - 1.31373).reshape(shape)
