"""What is accepted to fail, and how it stands by the records."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.table import Table

from conformance.cases.expectation import Expectation, how
from conformance.cases.outcome import Record
from conformance.results.records import latest


def expectations_table(expected: Iterable[Expectation], records: Sequence[Record]) -> Table:
    """A row for each: the case, what is expected and why, whether it was met last, how often of all runs."""
    table = Table()
    for name in ("case", "expected", "why", "until", "last run", "met"):
        table.add_column(name, overflow="fold")
    for entry in expected:
        runs = [record for record in records if record.id == entry.case]
        met = f"{sum(map(entry.met_by, runs))} of {len(runs)} runs" if runs else "-"
        table.add_row(entry.case, entry.named, entry.why, _until(entry), _last(entry, runs), met)
    return table


def _until(entry: Expectation) -> str:
    return "-" if entry.until is None else f"{entry.until}{' (over)' if entry.over else ''}"


def _last(entry: Expectation, runs: Sequence[Record]) -> str:
    if not runs:
        return "not run"
    (last,) = latest(runs)
    return "as expected" if entry.met_by(last) else how(last)
