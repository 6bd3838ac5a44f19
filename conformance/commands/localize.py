"""Which operator of a case that is not right is to blame."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

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
from conformance.localize.answer import as_json
from conformance.localize.localize import localize


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
    as_json_: AsJson = False,
) -> None:
    """Find the operator that is to blame for a case that is not right, or the operators that are wrong together, or
    say that none is: the fault shows in context alone, adds up from rounding, or comes now and then.

    Parts of the model's graph are compiled by themselves, fed with what the reference has there, and judged as any
    case is. What is known of an operator is said.
    """
    options.seconds("--case-timeout", case_timeout)
    options.folder("--records", records, written=True)
    options.given("--images", images)
    axes = chosen_of(batch, resolution, dtype, hardware, sdk, settings, workarounds, weights)
    one = chosen_case(case, records, options.names("--target", target), axes, images, calibrate)
    screen = Console(stderr=True, markup=False, emoji=False) if as_json_ else console()
    with opened(one, case_timeout, lambda worker: progress(screen, worker)) as found:
        answer = localize(found.job, found.worker, found.outcome, found.tell)
    if as_json_:
        typer.echo(json.dumps(as_json(answer), indent=1))
        return
    for number, line in enumerate(answer.lines()):
        screen.print(Text(line, "bold red" if number == 0 else ""), soft_wrap=True)
