"""`conformance explain`: a failure, from its record."""

from __future__ import annotations

from typing import Annotated

import typer

from conformance.cases.outcome import Status
from conformance.commands.arguments import RECORDS, Records
from conformance.report.attribution import first_tiers
from conformance.report.failure import lines
from conformance.results.records import matching, read_records


def main(
    case: Annotated[str, typer.Argument(help="The id of a case that failed; a pattern with * for several.")],
    records: Records = RECORDS,
) -> None:
    """Say what is known of a failure, and what shows it first: model, front end, compiler or device."""
    found = read_records(records)
    chosen = matching(case, found)
    tiers = first_tiers(found)
    for record in chosen:
        typer.echo(f"{record.id}: {record.summary}")
        if record.failed or record.status is Status.SUITE_ERROR:
            typer.echo("\n".join(lines(record)))
        if record.id in tiers:
            typer.echo(f"  comes in with: {tiers[record.id]}")
