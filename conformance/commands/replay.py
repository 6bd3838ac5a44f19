"""`conformance replay`: an HLO file on compilers that know nothing of Neuron."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from pydantic import TypeAdapter
from rich.console import Console
from rich.table import Table

from conformance.commands.arguments import AsJson, console
from conformance.commands.isolated import answer
from conformance.core.errors import UserError
from conformance.core.requirements import missing_packages
from conformance.replay.figures import OutputFigures, Replay
from conformance.report.formatting import plural


def ask(path: Path, values: Path | None, seed: int) -> Replay:
    """What came of the module in a file, from a process of its own. Raises UserError."""
    for file in filter(None, (path, values)):
        if not file.is_file():
            raise UserError(f"there is no file {file}")
    if missing := missing_packages({"jax": "replay"}, "replay"):
        raise UserError(missing)
    request = {"path": str(path.resolve()), "values": str(values.resolve()) if values else None, "seed": seed}
    said = answer(Path(__file__).with_name("replay_child.py"), path, request)
    return TypeAdapter(Replay).validate_python(said["replay"])


def print_replay(found: Replay, about: str, console: Console) -> None:
    """A row for each compiler, a column for each output, and what it says."""
    size = f"{plural(found.instructions, 'instruction')}, {plural(found.parameters, 'parameter')}"
    table = Table(title=f"{about}: {size} ({f'{found.given} of them given' if found.given else 'drawn'})")
    for name in ("compiler", *(f"output {number}: {shape}" for number, shape in enumerate(found.outputs))):
        table.add_column(name, overflow="fold")
    for run in found.runs:
        table.add_row(run.name, *([run.failed] if run.failed else map(_text, run.outputs)))
    console.print(table)
    console.print(found.conclusion, soft_wrap=True)


def _text(figures: OutputFigures | None) -> str:
    """`error 3.1e-08 (1.2 x)`, against float64 and beside XLA's own."""
    if figures is None:
        return "not given"
    return f"{'wrong: ' if figures.wrong else ''}error {figures.error:.2g} ({figures.ratio:.3g} x)"


def main(
    path: Annotated[Path, typer.Argument(help="graph.hlo of a compiler's work folder, .pb of XLA's dump, or text.")],
    values: Annotated[
        Path | None,
        typer.Option(help="safetensors: parameter.N that it is given, output.N that the device gave for them."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the parameters that are not given.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Run an HLO file with XLA on the CPU and with IREE: what is right there and wrong on a device is the fault of
    the device's compiler. Exit code 1 where something is wrong."""
    found = ask(path, values, seed)
    if as_json:
        typer.echo(json.dumps({**asdict(found), "conclusion": found.conclusion}, indent=1))
    else:
        print_replay(found, path.name, console())
    raise typer.Exit(0 if found.right else 1)
