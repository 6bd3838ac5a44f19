"""What share of a model's final error each layer causes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from conformance.cases import options
from conformance.commands.arguments import (
    RECORDS,
    AsJson,
    Batch,
    Calibrate,
    CaseTimeout,
    Dtype,
    Hardware,
    Images,
    Records,
    Resolution,
    Sdk,
    Sets,
    Settings,
    Target,
    Weights,
    chosen_of,
    console,
)
from conformance.commands.one_case import chosen_case, opened
from conformance.commands.progress import progress
from conformance.core.errors import UserError
from conformance.localize.budget import budget
from conformance.localize.picture import html, svg, table


def main(
    case: Annotated[str, typer.Argument(help="The id of a case, or a model as `conformance check` takes it.")],
    output: Annotated[Path | None, typer.Option(help="A .svg or .html file for the picture.")] = None,
    alone: Annotated[bool, typer.Option("--alone/--no-alone", help="Compile each layer by itself as well.")] = True,
    target: Target = None,
    batch: Batch = None,
    resolution: Resolution = None,
    dtype: Dtype = None,
    images: Images = None,
    calibrate: Calibrate = None,
    weights: Weights = None,
    hardware: Hardware = None,
    sdk: Sdk = None,
    settings: Settings = None,
    workarounds: Sets = None,
    case_timeout: CaseTimeout = 900,
    records: Records = RECORDS,
    as_json: AsJson = False,
) -> None:
    """Say which layers the error of a model's output comes from: the reference's values are put in behind each layer,
    and what is left of the error comes from what follows. For a case that is wrong, right, or cannot be judged."""
    options.seconds("--case-timeout", case_timeout)
    options.folder("--records", records, written=True)
    options.given("--images", images)
    if output is not None:
        options.folder("--output", output.parent, written=True)
        if output.suffix not in (".svg", ".html"):
            raise UserError(f"--output {output} is no picture that can be written: give a .svg or .html file")
    axes = chosen_of(batch, resolution, dtype, hardware, sdk, settings, workarounds, weights)
    one = chosen_case(case, records, options.names("--target", target), axes, images, calibrate)
    screen = Console(stderr=True, markup=False, emoji=False) if as_json else console()
    with opened(one, case_timeout, lambda worker: progress(screen, worker)) as found:
        made = budget(found.job, found.worker, found.outcome, alone, found.tell)
    if output is not None:
        output.write_text(svg(made) if output.suffix == ".svg" else html(made), encoding="utf-8")
    if as_json:
        typer.echo(made.model_dump_json(indent=1))
    else:
        screen.print(table(made))
