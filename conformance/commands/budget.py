"""What share of a model's final error each layer causes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from conformance.commands.arguments import AsJson, require_picture, screen
from conformance.commands.one_case import Asked, of_one_case
from conformance.localize.budget import budget
from conformance.localize.picture import html, svg, table


@of_one_case
def main(
    asked: Asked,
    output: Annotated[Path | None, typer.Option(help="A .svg or .html file for the picture.")] = None,
    alone: Annotated[bool, typer.Option("--alone/--no-alone", help="Compile each layer by itself as well.")] = True,
    as_json: AsJson = False,
) -> None:
    """Say which layers the error of a model's output comes from: the reference's values are put in behind each layer,
    and what is left of the error comes from what follows. For a case that is wrong, right, or cannot be judged."""
    require_picture("--output", output)
    shown = screen(as_json)
    with asked.opened(shown) as found:
        made = budget(found.job, found.worker, found.outcome, alone, found.tell)
    if output is not None:
        output.write_text(svg(made) if output.suffix == ".svg" else html(made), encoding="utf-8")
    if as_json:
        typer.echo(made.model_dump_json(indent=1))
    else:
        shown.print(table(made))
