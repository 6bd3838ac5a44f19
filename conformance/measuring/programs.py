"""Programs of two and three operators that models have next to each other, as samples."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from conformance.cases.outcome import Strict
from conformance.core.reading import read_json
from conformance.localize.recipe import Recipe
from conformance.operators.results import Row

if TYPE_CHECKING:
    from conformance.operators.samples import Sample

MINED = Path(__file__).with_name("mined.json")


class Program(Strict):
    """A program, how many models have it, and at how many places in all, in whatever sizes."""

    models: int
    places: int
    recipe: Recipe

    @property
    def name(self) -> str:
        """`conv2d + silu`: what it is made of."""
        return " + ".join(call.target.split(".")[1] for call in self.recipe.calls if call.target != "getitem")


class Mined(Strict):
    """What was found in models, exported by a version of torch: how many have each operator, and the programs."""

    torch: str
    models: int
    operators: dict[str, int]
    programs: list[Program]


@cache
def mined() -> Mined:
    """What is part of the suite."""
    return read_json(MINED, Mined)


@cache
def programs() -> dict[str, Program]:
    """By name; of several of one name the others have a number."""
    found: dict[str, Program] = {}
    for one in mined().programs:
        alike = sum(name.partition(" #")[0] == one.name for name in found)
        found[f"{one.name} #{alike + 1}" if alike else one.name] = one
    return found


def models_with(row: Row) -> int:
    """How many of the models that were looked at have what a row is about: the program, or the operator by its name
    or by the one of ATen that it is made of."""
    if row.operator in programs():
        return programs()[row.operator].models
    own = {row.operator.rpartition(".")[2]}
    names = own | ({row.aten[0].removeprefix("aten::").partition(".")[0]} if len(row.aten) == 1 else set())
    return max((count for name, count in mined().operators.items() if name.split(".")[1] in names), default=0)


def sample(program: Program) -> Sample:
    """A program with two sets of inputs."""
    from conformance.localize.system import made, module_of
    from conformance.operators.samples import Sample

    recipe = program.recipe
    inputs, others = (
        tuple(made(values, seed + number) for number, values in enumerate(recipe.inputs.values()))
        for seed in (0, 100)
    )
    return Sample("0", module_of(recipe).eval(), inputs, others, ", ".join(str(tuple(x.shape)) for x in inputs))
