"""The difference between two runs: for a terminal, as Markdown, as JSON, and as issues to open."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from conformance.cases import options
from conformance.cases.outcome import Record
from conformance.commands.arguments import RECORDS, AsJson, AsMarkdown, console
from conformance.report.failure import lines
from conformance.report.formatting import plural
from conformance.report.markdown import escape
from conformance.results.difference import FAILURES, REGRESSIONS, Change, ChangeKind, differences
from conformance.results.records import read_records

# Of cases that only the run before has, as many as are listed: another profile has hundreds.
_GONE = 10


def print_difference(changes: Sequence[Change], console: Console) -> None:
    """A line a case."""
    table = Table(*("what", "case", "before", "now"), title=summary(changes))
    listed, rest = _listed(changes)
    for change in listed:
        table.add_row(change.kind.value, change.record.id, *_ends(change))
    console.print(table if changes else summary(changes))
    if rest:
        console.print(rest)


def changes_markdown(changes: Sequence[Change]) -> str:
    """The same, for a page."""
    listed, rest = _listed(changes)
    rows = [
        f"| {' | '.join(map(escape, (change.kind.value, change.record.id, *_ends(change))))} |" for change in listed
    ]
    head = ["", "| what | case | before | now |", "| --- | --- | --- | --- |"] if rows else []
    return "\n".join([f"{summary(changes)}.", *head, *rows, *(("", f"{rest}.") if rest else ())]) + "\n"


def changes_json(changes: Iterable[Change]) -> str:
    """A list of `{what, id, before, after, command}`."""
    found: list[dict[str, Any]] = [
        {
            "what": change.kind.value,
            "id": change.record.id,
            "before": change.before,
            "after": change.after,
            "defects": change.record.defects,
            "command": change.record.command,
        }
        for change in changes
    ]
    return json.dumps(found, indent=1)


def write_issues(changes: Iterable[Change], folder: Path) -> list[Path]:
    """A Markdown file for each failure that is new, another, or of a case first tested: its first line is the title,
    the rest says all that is known and how to see it again."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, change in enumerate(change for change in changes if change.kind in FAILURES):
        path = folder / f"{number:03}.md"
        path.write_text(f"{change.record.id}: {change.after}\n\n{_body(change)}\n", encoding="utf-8")
        paths.append(path)
    return paths


def summary(changes: Iterable[Change]) -> str:
    """`2 new failures, 1 fixed`, or that nothing is different."""
    kinds = [change.kind for change in changes]
    counts = {kind: kinds.count(kind) for kind in ChangeKind if kind in kinds}
    said = [plural(n, kind.value) if kind in REGRESSIONS else f"{n} {kind.value}" for kind, n in counts.items()]
    return ", ".join(said) or "nothing is different"


def _listed(changes: Sequence[Change]) -> tuple[list[Change], str]:
    """Those that are shown, and what is said of the rest."""
    gone = sum(change.after is None for change in changes)  # the last ones
    hidden = max(0, gone - _GONE)
    rest = f"and {hidden} more that are not tested any more: --json lists them, --common leaves them out"
    return list(changes[: len(changes) - hidden]), rest if hidden else ""


def _ends(change: Change) -> tuple[str, str]:
    return change.before or "not tested", change.after or "not tested"


def _body(change: Change) -> str:
    record = change.record
    known = "\n".join(lines(record))
    versions = ", ".join(f"{name} {version}" for name, version in record.environment.items())
    before, _ = _ends(change)
    return f"Before: {before}.\n\n```\n{known}\n```\n\n```sh\n{record.command}\n```\n\n{_host(record)}; {versions}"


def _host(record: Record) -> str:
    emulated = ", emulated" if record.emulated else ""
    return f"{record.column.hardware}{emulated}, {record.finished:%Y-%m-%d %H:%M} UTC"


def main(
    before: Annotated[Path, typer.Argument(help="Folder with the records of the run before.")],
    after: Annotated[Path, typer.Argument(help="Folder with those of this one.")] = RECORDS,
    as_json: AsJson = False,
    markdown: AsMarkdown = False,
    common: Annotated[bool, typer.Option("--common", help="Compare only the cases that both have.")] = False,
    issues: Annotated[
        Path | None, typer.Option(help="Folder for an issue of each failure that was not there before.")
    ] = None,
) -> None:
    """What is different between two runs. Exit code 1 where a failure is new, or another one than before."""
    options.at_most_one(as_json=as_json, markdown=markdown)
    found = differences(read_records(before), read_records(after), common)
    if issues is not None:
        write_issues(found, issues)
    if as_json or markdown:
        typer.echo(changes_json(found) if as_json else changes_markdown(found))
    else:
        print_difference(found, console())
    raise typer.Exit(1 if any(change.kind in REGRESSIONS for change in found) else 0)
