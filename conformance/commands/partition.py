"""`conformance partition`: how much of Faster R-CNN runs on the device, for each way to cut it."""

from __future__ import annotations

from typing import Annotated

import typer

from conformance.cases.case import parse_resolution
from conformance.commands.arguments import AsJson, console
from conformance.partition import fasterrcnn, show


def main(
    variant: Annotated[str, typer.Option(help="mobilenet, r50 or r101.")] = "mobilenet",
    resolution: Annotated[str, typer.Option(help="Height x width of the photograph in pixels.")] = "320x320",
    runs: Annotated[int, typer.Option(min=1, max=1000, help="Timed runs; their mean is given.")] = 3,
    as_json: AsJson = False,
) -> None:
    """Cut Faster R-CNN: what runs on the device, by count, FLOPs and time, and what is left on the CPU."""
    found = fasterrcnn.measured(variant, *parse_resolution(resolution), runs)
    if as_json:
        typer.echo(show.partition_json(found, fasterrcnn.CUTS))
    else:
        show.print_partition(found, fasterrcnn.CUTS, console())
