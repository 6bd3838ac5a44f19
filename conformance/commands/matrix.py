"""`conformance matrix`: records to the compatibility matrix."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from conformance.commands.arguments import RECORDS, Records, console
from conformance.report.matrix import build_matrix
from conformance.report.terminal import print_matrix
from conformance.report.write import write_matrix
from conformance.results.records import read_records

TABLES = Path("matrices/tables")


def main(
    records: Records = RECORDS,
    output: Annotated[Path, typer.Option(help="Folder for compatibility.md, .json and .html.")] = TABLES,
) -> None:
    """Render the records as the compatibility matrix: here, and as Markdown, JSON and HTML."""
    found = build_matrix(read_records(records))
    print_matrix(found, console())
    for path in write_matrix(found, output):
        typer.echo(f"wrote {path}")
