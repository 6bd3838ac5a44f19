"""`python -m benchmarks.localize`: plant faults, look for them, write the table."""

from __future__ import annotations

import platform
from datetime import date
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Annotated

import typer
from rich.console import Console

from benchmarks.localize import real
from benchmarks.localize.draw import COUNTS
from benchmarks.localize.report import markdown
from benchmarks.localize.run import MODELS, REAL, Lines, planned, run
from conformance.host.probe import installed_version

_PACKAGES = ("torch", "openvino", "onnxruntime", "torch-xla", "ultralytics", "torchvision")


def main(
    models: Annotated[str | None, typer.Option(help=f"Separated by commas, else all: {', '.join(MODELS)}.")] = None,
    seed: Annotated[int, typer.Option(help="Of the faults.")] = 0,
    workers: Annotated[int, typer.Option(min=1, help="Processes, of one thread each.")] = 2,
    only_real: Annotated[
        bool, typer.Option("--only-real", help="The real defects of the targets that are here alone.")
    ] = False,
    checkpoint: Annotated[
        Path | None, typer.Option(help="File that keeps what is done; a later run goes on with it.")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Folder for localize.md.")] = None,
    render: Annotated[
        bool, typer.Option("--render", help="Write the table of what the checkpoint has, no more.")
    ] = False,
    quick: Annotated[bool, typer.Option("--quick", help="One model, a fault of each class.")] = False,
) -> None:
    """Plant faults in models that are right, ask `conformance localize` and others what is to blame, and say how
    often they are right. What a checkpoint has of other environments is in the table as well."""
    console, start, lines = Console(), perf_counter(), Lines(checkpoint)
    names = models.split(",") if models else list(MODELS)
    counts = dict.fromkeys(COUNTS, 1) if quick else COUNTS
    names = [] if only_real else ["toydet-98k-detect"] if quick else names
    work = [] if render else planned(names, [] if quick else real.targets(), seed, counts)
    done = run(work, workers, lines, console)
    mine = {part.key for part in work}
    done += [other for key, other in lines.read().items() if key not in mine]
    found = [one for part in done for one in part.scored]
    found.sort(key=lambda one: one.of_class == REAL)
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES if installed_version(name))
    about = f"{date.today():%Y-%m-%d}, {platform.machine()}, {packages}."
    text = markdown(found, about, sum(part.hidden for part in done))
    if output is None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)
    else:
        (output / "localize.md").write_text(text, encoding="utf-8")
    console.print(f"{len(found)} answers, {perf_counter() - start:.0f} s")


if __name__ == "__main__":
    typer.run(main)
