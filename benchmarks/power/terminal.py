"""The run in a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from benchmarks.power.findings import Results
from benchmarks.power.gates import GATES
from benchmarks.power.tally import escaped, goals, reason, share, tally


def print_results(results: Results, console: Console) -> None:
    """The gates side by side, what escapes ours, and the goals."""
    for dtype in results.dtypes:
        found = results.of(dtype)
        console.print(_gates(found, dtype))
        for finding in escaped(found):
            where = f"{finding.system} {finding.layer} {finding.site}"
            console.print(
                f"not caught: {finding.kind}, {where}, {finding.detail}: {reason(finding)}", highlight=False
            )
        for goal in goals(found, dtype):
            console.print(f"{'reached' if goal.reached else 'not reached'}: {goal.what}: {goal.found}")


def _gates(results: Results, dtype: str) -> Table:
    table = Table(title=dtype)
    for name in ("gate", "changes a detection", "all faults", "false alarms"):
        table.add_column(name, justify="left" if name == "gate" else "right")
    for gate in GATES:
        if why := gate.missing():
            table.add_row(gate.name, why, "", "")
            continue
        sums = tally(results, gate.name)
        table.add_row(
            gate.name,
            f"{share(sums.changing_caught, sums.changing)} ({sums.changing_caught}/{sums.changing})",
            f"{share(sums.caught, sums.planted)} ({sums.caught}/{sums.planted})",
            f"{sums.false_alarms}/{sums.healthy}",
        )
    return table
