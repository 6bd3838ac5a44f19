"""What several commands are given, and where they write."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

RECORDS = Path("matrices/records")

Records = Annotated[Path, typer.Option(help="Folder with the records of one or many runs.")]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]
AsMarkdown = Annotated[bool, typer.Option("--markdown", help="As Markdown.")]
Workarounds = Annotated[str | None, typer.Option(help="Those that are on, joined by +.")]


def console() -> Console:
    """The terminal; lines of 140 columns for a file, a pipe or the log of a CI, where nothing says how many."""
    found = Console(markup=False, emoji=False)  # what is shown is from records and graphs
    if not found.is_terminal and "COLUMNS" not in os.environ:
        found.width = 140
    return found
