"""A program as plain data: input shapes and a sequence of steps. No torch here."""

from __future__ import annotations

from collections import Counter
from math import prod

from pydantic import Field, field_validator, model_validator

from conformance.cases.case import MOST_VALUES
from conformance.cases.outcome import Strict

Argument = bool | int | float | str | None | tuple[int | float | None, ...]
# What is chosen in a step, as against how much: operator, and its arguments that are no numbers.
Choice = tuple[str, frozenset[tuple[str, str]]]


class Step(Strict):
    """One operator. `inputs` are indices of earlier values: the program's inputs come first, then the results of each
    step in order. `results` is how many values it gives."""

    operator: str
    inputs: tuple[int, ...]
    arguments: dict[str, Argument] = Field(default_factory=dict)
    results: int = Field(default=1, ge=1, le=1000)

    @field_validator("arguments")
    @classmethod
    def _are_names(cls, arguments: dict[str, Argument]) -> dict[str, Argument]:
        if bad := next((name for name in arguments if not name.isidentifier()), None):
            raise ValueError(f"{bad!r} is no name of an argument")
        return arguments

    @property
    def choice(self) -> Choice:
        """The operator and the arguments that are words or switches, whatever the numbers."""
        chosen = {name: str(v) for name, v in self.arguments.items() if isinstance(v, (bool, str))}
        return self.operator, frozenset(chosen.items())


class ProgramSpec(Strict):
    """Inputs are (batch, ...) each, of one batch. Its outputs are all values that no step reads, but for the inputs.

    Every output has the batch first, and no step mixes images: a program is defined for any batch.
    """

    inputs: tuple[tuple[int, ...], ...] = Field(min_length=1)
    steps: tuple[Step, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _places_exist(self) -> ProgramSpec:
        if any(not shape or min(shape) < 1 for shape in self.inputs):
            raise ValueError("every input needs a shape of numbers from 1 on, the batch first")
        if sum(map(prod, self.inputs)) > MOST_VALUES:
            raise ValueError(f"the inputs have more than {MOST_VALUES:,} values")
        if len({shape[0] for shape in self.inputs}) > 1:
            raise ValueError("the inputs are not of one batch")
        values = len(self.inputs)
        for number, step in enumerate(self.steps):
            if bad := [index for index in step.inputs if not 0 <= index < values]:
                raise ValueError(f"step {number} ({step.operator}) reads value {bad[0]}; there are 0 to {values - 1}")
            values += step.results
        return self

    @property
    def batch(self) -> int:
        """How many images."""
        return self.inputs[0][0]

    @property
    def outputs(self) -> tuple[int, ...]:
        """The indices of the values that no step reads."""
        read = {index for step in self.steps for index in step.inputs}
        count = len(self.inputs) + sum(step.results for step in self.steps)
        return tuple(index for index in range(len(self.inputs), count) if index not in read)

    @property
    def choices(self) -> Counter[Choice]:
        """What its steps have chosen."""
        return Counter(step.choice for step in self.steps)

    def contains(self, smaller: ProgramSpec) -> bool:
        """Whether it makes all the choices of a smaller one, whatever its shapes, numbers and order."""
        return smaller.choices <= self.choices

    def without_unused_inputs(self) -> ProgramSpec:
        """The same, without inputs that no step reads."""
        used = sorted({index for step in self.steps for index in step.inputs if index < len(self.inputs)})
        removed = len(self.inputs) - len(used)
        index_of = {index: used.index(index) for index in used}
        steps = [
            step.model_copy(update={"inputs": tuple(index_of.get(p, p - removed) for p in step.inputs)})
            for step in self.steps
        ]
        return ProgramSpec(inputs=tuple(self.inputs[index] for index in used), steps=tuple(steps))
