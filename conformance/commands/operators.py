"""`conformance operators`: what targets make of each operator of torch, measured with torch's own samples."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from conformance.cases import options
from conformance.commands.progress import counted
from conformance.core.errors import UserError, check
from conformance.core.reading import read_json
from conformance.measuring.programs import models_with
from conformance.measuring.run import DTYPES, Measuring
from conformance.operators.results import Results, Row, State
from conformance.report.formatting import plural
from conformance.report.operators import as_markdown
from conformance.targets.loading import load_target

_USUAL = (State.RIGHT, State.UNDECIDED, State.UNSUPPORTED)


def main(
    target: Annotated[str | None, typer.Option(help="Targets, separated by commas: xla,openvino.")] = None,
    match: Annotated[
        str | None, typer.Option(help="Only operators like these, as torch names them: 'add,nn.functional.*'.")
    ] = None,
    dtype: Annotated[str, typer.Option(help="Dtypes, separated by commas.")] = ",".join(DTYPES),
    workers: Annotated[int, typer.Option(min=1, max=256, help="Processes, of one thread each.")] = 1,
    timeout: Annotated[float, typer.Option(help="Seconds that the samples of an operator may take.")] = 60.0,
    again: Annotated[
        bool, typer.Option("--again", help="Measure what the same versions have measured, too.")
    ] = False,
    output: Annotated[
        Path, typer.Option(help="Folder of the tables, <target>-<version>.json, that a later run goes on from.")
    ] = Path("matrices/tables/operators"),
    render: Annotated[
        bool, typer.Option("--render", help="Only print the page of the tables that are there.")
    ] = False,
) -> None:
    """Run torch's samples of every operator through targets: right, wrong, frozen, refused, crashed or unsupported.

    What only moves data has to be exact to the bit, the rest as exact as eager PyTorch. What was measured with the
    same versions is not measured again.
    """
    options.folder("--output", output, written=not render)
    specs, dtypes = (tuple(options.names(*one) or ()) for one in (("--target", target), ("--dtype", dtype)))
    for one in dtypes:
        check("dtype", one, DTYPES)
    if render:
        tables = [read_json(path, Results) for path in sorted(output.glob("*.json"))]
        typer.echo(as_markdown([one for one in tables if not specs or one.target in specs], models_with), nl=False)
        return
    if not specs:
        raise UserError("say which --target is to be measured: xla, openvino, onnxruntime, inductor, neuron")
    for spec in specs:
        if reason := load_target(spec).missing():
            raise UserError(reason)
    patterns, limit = tuple(options.names("--match", match) or ("*",)), options.seconds("--timeout", timeout)
    for spec in specs:
        measuring = Measuring(spec, output, patterns, dtypes, workers, limit, again)
        with counted(spec, _said, lambda row: row.state in _USUAL, partial("{}: {.operator}".format, spec)) as tell:
            results = measuring.run(tell)
        typer.echo(as_markdown([results], models_with), nl=False)
        typer.echo(f"wrote {measuring.path}", err=True)


def _said(row: Row) -> str:
    """`split float32: wrong, 1 of 7 samples right`."""
    count = row.right + len(row.others)
    said = f"{row.state.value}, {row.right} of {plural(count, 'sample')} right" if count else "nothing to measure"
    return f"{row.operator} {row.dtype}: {said}"
