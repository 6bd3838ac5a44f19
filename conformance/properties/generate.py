"""Programs that are right by construction, for hypothesis to draw and to shrink."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from hypothesis import strategies as st

from conformance.golden.baseline import as_channels_last
from conformance.properties.module import results_of, zeros
from conformance.properties.operator import MOST_DIMENSIONS, Arguments, OpSpec, Shaped
from conformance.properties.operators import NAMES, OPERATORS
from conformance.properties.program import ProgramSpec, Step

MOST_STEPS = 12
_SHAPES = ((8, 9, 9), (8, 9, 9), (4, 6, 10), (12, 9), (8,))  # the largest inputs, without the batch


@dataclass
class Building:
    """A program half built: its values so far."""

    inputs: list[tuple[int, ...]]
    values: list[Shaped]
    steps: list[Step] = field(default_factory=list)

    def add(self, operator: OpSpec, indices: Sequence[int], arguments: Arguments) -> None:
        """One more step; its results by torch's own rules, in every layout."""
        given = [self.values[index] for index in indices]
        weights = operator.weights([value.shape for value in given], arguments)
        constants = [zeros(weight) for weight in weights.values()]
        step = Step(operator=operator.name, inputs=tuple(indices), arguments=arguments)
        plain = results_of(operator, step, [*(value.plain for value in given), *constants])
        turned = results_of(operator, step, [*(value.turned for value in given), *map(as_channels_last, constants)])
        axis, each = operator.batch(given[0], arguments)
        apart = operator.moves and all(value.apart for value in given)
        self.values += [Shaped(*results, axis, each, apart) for results in zip(plain, turned, strict=True)]
        self.steps.append(step.model_copy(update={"results": len(plain)}))

    def finished(self) -> ProgramSpec:
        """The program; outputs that do not have the batch first are turned."""
        if not self.steps:
            self.add(OPERATORS["relu"], [0], {})
        read = {index for step in self.steps for index in step.inputs}
        for index in range(len(self.inputs), len(self.values)):
            if index not in read and (axis := self.values[index].axis):
                self.add(OPERATORS["transpose"], [index], {"dim0": 0, "dim1": axis})
        return ProgramSpec(inputs=tuple(self.inputs), steps=tuple(self.steps)).without_unused_inputs()


@st.composite
def programs(draw: st.DrawFn, ranking: bool = True, most_steps: int = MOST_STEPS) -> ProgramSpec:
    """Small programs. Without `ranking` nothing is looked up by rank: for dtypes so coarse that inputs have ties."""
    batch = draw(st.sampled_from([1, 2, 3]))
    first = draw(_shapes())
    others = st.sampled_from([first, first[:-2] + first[-2:][::-1]]) | _shapes()  # the same; turned, for a product
    inputs = [(batch, *shape) for shape in [first, *draw(st.lists(others, max_size=1))]]
    building = Building(inputs, [_input(shape) for shape in inputs])
    draw(st.lists(_steps(building, ranking), min_size=1, max_size=most_steps))
    return building.finished()


@st.composite
def _shapes(draw: st.DrawFn) -> tuple[int, ...]:
    """The shape of an input, without the batch: mostly images, of odd and even sizes."""
    return tuple(draw(st.integers(1, most)) for most in draw(st.sampled_from(_SHAPES)))


def _input(shape: tuple[int, ...]) -> Shaped:
    plain = torch.zeros(shape)
    return Shaped(plain, as_channels_last(plain), apart=True)


@st.composite
def _steps(draw: st.DrawFn, building: Building, ranking: bool) -> None:
    """One step more. Where the operator fits no value there is none, so that what follows keeps its meaning."""
    operator = OPERATORS[draw(st.sampled_from(NAMES))]
    values = building.values
    fitting = [i for i, value in enumerate(values) if _fits(operator, value, ranking)]
    if not fitting:
        return
    indices = [draw(_index(fitting))]
    for number in range(operator.most_partners if operator.partner else 0):
        partners = [i for i in range(len(values)) if _goes_with(operator, building, indices, i)]
        if not partners or (number and not draw(st.booleans())):
            break
        indices.append(draw(_index(partners)))
    if operator.partner and len(indices) == 1:
        return
    building.add(operator, indices, draw(operator.arguments([values[index] for index in indices])))


def _fits(operator: OpSpec, value: Shaped, ranking: bool) -> bool:
    if operator.ranks and not (ranking and value.apart):
        return False
    return value.rank <= MOST_DIMENSIONS and operator.accepts(value)


def _goes_with(operator: OpSpec, building: Building, indices: list[int], other: int) -> bool:
    """Whether a value can be one more of those a step reads."""
    assert operator.partner is not None
    return all(operator.partner(building.values[index], building.values[other]) for index in indices)


def _index(fitting: list[int]) -> st.SearchStrategy[int]:
    """One of the values; half of the time the last one, so that programs become deep."""
    return st.sampled_from([*fitting, *fitting[-1:] * len(fitting)])
