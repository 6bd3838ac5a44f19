"""Which operators of a model neuronx-cc compiles, one by one: `torch_neuronx.analyze`. Any x86 host can."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from pydantic import BaseModel, ValidationError
from rich.console import Console
from rich.table import Table

from conformance.commands.arguments import AsJson, Workarounds, console
from conformance.commands.model_loading import TraceSpec, load_program, trace_spec
from conformance.core.errors import UserError
from conformance.host.cores import host_cores
from conformance.host.trouble import no_core
from conformance.report.formatting import share
from conformance.targets.neuron import Neuron


@dataclass(frozen=True)
class OperatorSupport:
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


def analyze(model: str, spec: TraceSpec) -> list[OperatorSupport]:
    """The operators of a model, those that fail first. Raises UserError where there is no torch-neuronx that traces,
    or where it says something else than is documented."""
    if reason := Neuron().missing():
        raise UserError(reason)
    program = load_program(model, spec)
    if host_cores().trouble:
        os.environ["PJRT_DEVICE"] = "CPU"  # it traces on a device of torch-xla, and has no cpu_backend of its own
    import torch_neuronx

    try:
        with TemporaryDirectory(prefix="conformance-neuron-") as folder:
            answer = torch_neuronx.analyze(program.module, program.inputs, compiler_workdir=folder, cleanup=True)
        said = _Said.model_validate(answer)
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(map(str, problem["loc"]))
        raise UserError(f"torch_neuronx.analyze answers in another shape: {where}: {problem['msg']}") from None
    except RuntimeError as error:
        if not no_core(str(error)):
            raise
        raise UserError("torch_neuronx.analyze traces on a NeuronCore, and this host gives none") from None
    failing = Counter((one.kind, one.failureAt) for one in said.unsupported_operators)
    return [
        *(OperatorSupport(kind, count, where) for (kind, where), count in sorted(failing.items())),
        *(OperatorSupport(kind, count, None) for kind, count in sorted(said.supported_operators.items())),
    ]


def print_support(found: Sequence[OperatorSupport], title: str, console: Console) -> None:
    """A line an operator, and how much of the model is supported."""
    table = Table(title=title)
    for name in ("operator", "in the model", "compiles"):
        table.add_column(name, justify="right" if name == "in the model" else "left")
    for one in found:
        table.add_row(one.kind, str(one.count), f"no: fails in {one.fails_in}" if one.fails_in else "yes")
    console.print(table)
    every, good = sum(one.count for one in found), sum(one.count for one in found if one.fails_in is None)
    console.print(f"{share(good, every)} of {every} operators compile", highlight=False)


def support_json(found: Sequence[OperatorSupport]) -> str:
    """A list of `{kind, count, fails_in}`."""
    return json.dumps([asdict(one) for one in found], indent=1)


def main(
    model: Annotated[str, typer.Argument(help="A model as `conformance check` takes it, but no .pt2 file.")],
    batch: Annotated[int, typer.Option(min=1, help="Images at a time.")] = 1,
    resolution: Annotated[
        str | None, typer.Option(help="Height x width of the images in pixels; else the model's own, or 640x640.")
    ] = None,
    dtype: Annotated[str, typer.Option(help="float32, bfloat16 or float16.")] = "float32",
    workarounds: Workarounds = None,
    as_json: AsJson = False,
) -> None:
    """Ask the installed neuronx-cc about every operator of a model. Exit code 1 where one does not compile."""
    found = analyze(model, trace_spec(batch, resolution, dtype, workarounds))
    if as_json:
        typer.echo(support_json(found))
    else:
        print_support(found, f"{model}, compiled for trn1", console())
    raise typer.Exit(1 if any(one.fails_in for one in found) else 0)
