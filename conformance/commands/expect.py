"""What is accepted to fail, and how it stands by the records."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from conformance.cases import options
from conformance.cases.expectation import FILE, Expectation, outcome_of, read_expectations
from conformance.cases.outcome import Record
from conformance.commands.arguments import RECORDS, console
from conformance.results import accepting
from conformance.results.records import latest, read_all


def expectations_table(expected: Iterable[Expectation], records: Sequence[Record]) -> Table:
    """A row for each: the case, what is expected and why, whether it was met last, how often of all runs."""
    table = Table()
    for name in ("case", "expected", "why", "until", "last run", "met"):
        table.add_column(name, overflow="fold")
    for entry in expected:
        runs = [record for record in records if record.id == entry.case]
        met = f"{sum(map(entry.met_by, runs))} of {len(runs)} runs" if runs else "-"
        table.add_row(entry.case, entry.summary, entry.why, _until(entry), _last(entry, runs), met)
    return table


def _until(entry: Expectation) -> str:
    return "-" if entry.until is None else f"{entry.until}{' (over)' if entry.over else ''}"


def _last(entry: Expectation, runs: Sequence[Record]) -> str:
    if not runs:
        return "not run"
    (last,) = latest(runs)
    return "as expected" if entry.met_by(last) else outcome_of(last)


def main(
    accept: Annotated[
        list[str] | None,
        typer.Option(help="Expect the case of this id, or those of a pattern with *, to end as last."),
    ] = None,
    link: Annotated[str | None, typer.Option(help="With --accept: where it is reported.")] = None,
    reason: Annotated[str | None, typer.Option(help="With --accept: why that is no reason not to ship.")] = None,
    until: Annotated[str | None, typer.Option(help="With --accept: when it ends to count, YYYY-MM-DD.")] = None,
    drop: Annotated[list[str] | None, typer.Option(help="Expect nothing of the case of this id any more.")] = None,
    records: Annotated[Path, typer.Option(help="Folder with the records of the runs.")] = RECORDS,
    expectations: Annotated[Path, typer.Option(help="The file that is edited.")] = FILE,
) -> None:
    """Accept failures as they are, with a reason; without --accept and --drop: list those that are accepted."""
    options.at_most_one(accept=accept, drop=drop)
    options.only_with("--accept", accept, link=link is not None, reason=reason is not None, until=until is not None)
    why, last = options.why(link, reason, needed=bool(accept)), options.day("--until", until)
    for case in drop or ():
        accepting.drop(expectations, case)
        typer.echo(f"nothing is expected of {case}")
    found = read_all(records) if accept else []
    for pattern in accept or ():
        for entry in accepting.accept(expectations, found, pattern, why, last):
            typer.echo(f"expected: {entry.case} {entry.summary}")
    if not (accept or drop):
        _list_expectations(expectations, records)


def _list_expectations(path: Path, records: Path) -> None:
    """What is accepted, and how it stands by the records."""
    expected = read_expectations(path)
    console().print(expectations_table(expected.values(), read_all(records)) if expected else f"{path}: nothing")
