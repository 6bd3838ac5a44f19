"""Operator support as a table and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from conformance.commands.analyze import Operator
from conformance.report.formatting import share


def print_support(found: Sequence[Operator], title: str, console: Console) -> None:
    """A line an operator, and how much of the model is supported."""
    table = Table(title=title)
    for name in ("operator", "in the model", "compiles"):
        table.add_column(name, justify="right" if name == "in the model" else "left")
    for one in found:
        table.add_row(one.kind, str(one.count), f"no: fails in {one.fails_in}" if one.fails_in else "yes")
    console.print(table)
    every, good = sum(one.count for one in found), sum(one.count for one in found if one.fails_in is None)
    console.print(f"{share(good, every)} of {every} operators compile", highlight=False)


def support_json(found: Sequence[Operator]) -> str:
    """A list of `{kind, count, fails_in}`."""
    return json.dumps([asdict(one) for one in found], indent=1)
