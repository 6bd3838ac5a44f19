"""`python -m benchmarks.power`: plant faults, ask the gates, write the tables."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks.power.findings import Results
from benchmarks.power.json_file import About, as_json
from benchmarks.power.report import as_markdown, print_results
from benchmarks.power.run import Checkpoint, Plan, run_plan
from benchmarks.power.severities import as_toml, measured_rule
from benchmarks.power.systems import ENTRIES
from conformance.compare import severity
from conformance.compare.limits import limit
from conformance.core.errors import UserError, check
from conformance.host.probe import installed_version
from conformance.targets.loading import load_target

_DTYPES = "float32,bfloat16"
_TARGETS = "openvino,onnxruntime,inductor"  # this one takes a minute a program
_PACKAGES = ("torch", "openvino", "onnxruntime", "ultralytics", "torchvision", "polygraphy", "torchbridge-ml")


def main(
    systems: Annotated[str | None, typer.Option(help=f"Separated by commas, else all: {', '.join(ENTRIES)}.")] = None,
    dtypes: Annotated[
        str | None, typer.Option(help=f"Dtypes that can be judged, separated by commas, else {_DTYPES}.")
    ] = None,
    per_kind: Annotated[
        int, typer.Option(min=0, help="Faults of each kind in each system in float32, a quarter at other dtypes.")
    ] = 20,
    seed: Annotated[int, typer.Option(help="Of the sites and of what exactly is wrong there.")] = 0,
    targets: Annotated[str | None, typer.Option(help=f"Compilers of the healthy cells, else {_TARGETS}.")] = None,
    images: Annotated[int, typer.Option(min=0, help="Batches of images through each compiled program.")] = 4,
    shapes: Annotated[int, typer.Option(min=1, max=3, help="Shapes of the healthy cells of each system.")] = 1,
    workers: Annotated[int, typer.Option(min=1, help="Processes, of one thread each.")] = 2,
    output: Annotated[
        Path | None, typer.Option(help="Folder for power.md and power.json; none with --quick.")
    ] = None,
    checkpoint: Annotated[
        Path | None, typer.Option(help="File that keeps what is done, so that a run that was ended goes on.")
    ] = None,
    write_severity: Annotated[
        bool, typer.Option("--write-severity", help="Write how bad errors of which size are: compare/severity.toml.")
    ] = False,
    quick: Annotated[bool, typer.Option("--quick", help="One model, few faults, few cells: does it work?")] = False,
) -> None:
    """Plant faults in models that are right and see which gates notice; then see which gates condemn healthy ones."""
    names = tuple(systems.split(",")) if systems else tuple(ENTRIES)[: 1 if quick else None]
    if quick:
        dtypes, targets = dtypes or "float32", targets or "onnxruntime"
        per_kind, images, shapes = min(per_kind, 3), min(images, 2), 1
    judged, compilers = ((given or default).split(",") for given, default in ((dtypes, _DTYPES), (targets, _TARGETS)))
    plan = Plan(names, tuple(judged), per_kind, seed, tuple(compilers), images, shapes, workers)
    console = Console()
    try:
        _check(plan)
        results = run_plan(plan, console, Checkpoint(checkpoint) if checkpoint else None)
    except UserError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    print_results(results, console)
    folder = output or (None if quick else Path("matrices/published"))
    about = _about(seed)
    if folder is not None:
        _write(results, folder, about)
    if write_severity:
        severity.PATH.write_text(as_toml(measured_rule(results, about)), encoding="utf-8")
        typer.echo(f"wrote {severity.PATH}")
    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)  # the next run measures again


def _check(plan: Plan) -> None:
    """Whether everything that is asked for is here. Raises UserError."""
    for name in plan.systems:
        if reason := ENTRIES[check("system", name, ENTRIES)].load().missing():
            raise UserError(reason)
    for name in plan.targets if plan.images else ():
        if reason := load_target(name).missing():
            raise UserError(reason)
    for dtype in plan.dtypes:
        limit(dtype)


def _about(seed: int) -> About:
    versions = ", ".join(f"{name} {found}" for name in _PACKAGES if (found := installed_version(name)))
    return About(versions, seed, shlex.join(["python", "-m", "benchmarks.power", *sys.argv[1:]]))


def _write(results: Results, folder: Path, about: About) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (("power.md", as_markdown(results, about)), ("power.json", as_json(results, about))):
        (folder / name).write_text(text, encoding="utf-8")
        typer.echo(f"wrote {folder / name}")


if __name__ == "__main__":
    typer.run(main)
