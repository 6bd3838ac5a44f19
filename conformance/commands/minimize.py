"""The smallest program that fails as a case does."""

from __future__ import annotations

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
from conformance.localize.localize import localize
from conformance.localize.reproduce import minimized
from conformance.localize.scripts import module_text


def main(
    case: Annotated[str, typer.Argument(help="The id of a case, or a model as `conformance check` takes it.")],
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
    """Find the smallest program that fails the same way as a case: the operators that are to blame, with fewer
    outputs and images, smaller sizes, plainer values. `reproduce` makes a script of it that runs by itself."""
    options.seconds("--case-timeout", case_timeout)
    options.folder("--records", records, written=True)
    options.given("--images", images)
    axes = chosen_of(batch, resolution, dtype, hardware, sdk, settings, workarounds, weights)
    one = chosen_case(case, records, options.names("--target", target), axes, images, calibrate)
    screen = Console(stderr=True, markup=False, emoji=False) if as_json else console()
    with opened(one, case_timeout, lambda worker: progress(screen, worker)) as found:
        answer = localize(found.job, found.worker, found.outcome, found.tell)
        recipe, outcome, tried = minimized(answer, found.job, found.worker, found.tell)
    if as_json:
        typer.echo(recipe.model_dump_json(indent=1))
        return
    operators, values = recipe.size
    screen.print(f"smallest of {tried} programs: {operators} operators, {values} values; {outcome.status.value}")
    screen.print(module_text(recipe), highlight=False, soft_wrap=True)
