"""Which operators of a model neuronx-cc compiles, one by one: `torch_neuronx.analyze`. Any x86 host can."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from pydantic import BaseModel, ValidationError

from conformance.commands.model_loading import TraceSpec, named_program
from conformance.core.errors import UserError


@dataclass(frozen=True)
class Operator:
    """An operator, how often the model has it, and where it fails: in `neuronx-cc`, in `Lowering to HLO`, or not."""

    kind: str
    count: int
    fails_in: str | None


class _Failing(BaseModel):
    kind: str
    failureAt: str  # noqa: N815 (its name)


class _Said(BaseModel):
    supported_operators: dict[str, int]
    unsupported_operators: list[_Failing]


def analyze(model: str, look: TraceSpec) -> list[Operator]:
    """The operators of a model, those that fail first. Raises UserError where there is no torch-neuronx that traces,
    or where it says something else than is documented."""
    from conformance.targets.neuron import Neuron

    if reason := Neuron().missing():
        raise UserError(reason)
    program = named_program(model, look)
    import torch_neuronx

    try:
        said = _Said.model_validate(torch_neuronx.analyze(program.module, program.inputs))
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(map(str, problem["loc"]))
        raise UserError(f"torch_neuronx.analyze answers in another shape: {where}: {problem['msg']}") from None
    failing = Counter((one.kind, one.failureAt) for one in said.unsupported_operators)
    return [
        *(Operator(kind, count, where) for (kind, where), count in sorted(failing.items())),
        *(Operator(kind, count, None) for kind, count in sorted(said.supported_operators.items())),
    ]
