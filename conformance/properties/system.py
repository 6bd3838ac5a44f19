"""Programs as a system: a variant is a program's JSON. What is judged is judged as any model is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import ValidationError

from conformance.cases.case import Case, Subject
from conformance.core.errors import UserError
from conformance.core.store import digest
from conformance.properties.program import ProgramSpec
from conformance.properties.setups import Setup
from conformance.systems.base import BaseSystem
from conformance.systems.protocol import Model

if TYPE_CHECKING:
    from torch import Tensor

SYSTEM = "conformance.properties.system:Programs"
TASK = "program"


class Programs(BaseSystem):
    """Every program there is."""

    name = "programs"
    variants = ()
    tasks: tuple[str, ...] = (TASK,)
    licence = "Apache-2.0"

    def stride(self, task: str) -> int:
        """Nothing: the inputs have their own shapes."""
        return 1

    def build(self, variant: str, task: str, weights: str | None = None) -> Model:
        """The interpreter of the program. Raises UserError for what is no program."""
        from conformance.properties.module import Steps

        program = from_json(variant)
        return Model(Steps(program).eval(), (), digest({"program": program.model_dump_json()}))

    def parameters(self, variant: str, task: str) -> int:
        """How many numbers its constants have."""
        return sum(constant.numel() for constant in self.build(variant, task).module.buffers())

    def inputs(self, subject: Subject, index: int) -> tuple[Tensor, ...]:
        """The program's own inputs."""
        from conformance.properties.module import example_inputs

        return example_inputs(from_json(subject.variant), index)


def from_json(text: str) -> ProgramSpec:
    """The program of a variant. Raises UserError."""
    try:
        return ProgramSpec.model_validate_json(text)
    except ValidationError as error:
        raise UserError(f"no program: {error.errors()[0]['msg']}") from None


def case_of(program: ProgramSpec, setup: Setup) -> Case:
    """The case of a program at a setup."""
    subject = Subject(Programs.name, program.model_dump_json(), TASK, program.batch, None, None, setup.dtype)
    return Case(subject, setup.column)
