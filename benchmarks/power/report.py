"""The run as `power.md`, and in a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table

from benchmarks.power.findings import Finding, Results
from benchmarks.power.gates import GATES, OURS, WHOLE, Gate
from benchmarks.power.json_file import About
from benchmarks.power.tally import (
    benign,
    by_kind,
    caught,
    escaped,
    goals,
    nearest,
    only_by_layers,
    reason,
    share,
    tally,
)
from benchmarks.power.testbed import BATCHES, CONFIDENCE

_MOST_LINES = 40
_ABOUT = f"""Faults are edits of the exported graph of a model that is right, run on the CPU; nothing is recompiled.
All gates judge the same outputs. The others are shown what the first call gives, after the program was warmed with
other images, and the CPU's own run at the same dtype as the reference; ours is the suite's own verdict on the calls
that the suite makes (the images, others, and both again, each by its own reference), on the tapped layers, and on the
layers compiled alone: the same edit in the exported graph of the layer that it is in. A fault *changes a detection*
if in {BATCHES} other batches one of confidence {CONFIDENCE} or more is lost that the graph without the fault and
every other valid CPU run has, or one made up that none of them has. A stale output *warmed with the same images* is
listed apart: its first call gives what is right.
"""
_DOUBTS = """The rates depend on the mix of faults. Faults are planted in the graph that torch runs itself, without a
compiler's own rounding on top. What a compiler does to a layer can depend on what surrounds it, so that a fault of
the whole model need not be there when the layer is compiled alone: *ours, whole model* is what is caught without
that. Healthy cells of one model are correlated: they share weights, compiled programs and
photographs, so that no alarm in n cells does not bound the rate as n independent ones would. The baseline
error is measured on the very images that are compared, by runs of torch, not of the compilers in these cells."""


def as_markdown(results: Results, about: About) -> str:
    """Everything of a run, a section for each dtype."""
    lines = ["# Power: which faults do accuracy gates notice?", "", _ABOUT]
    for dtype in results.dtypes:
        lines += _section(results.of(dtype), dtype)
    lines += [
        "## How to read this",
        "",
        _DOUBTS,
        "",
        *_rules(),
        "",
        f"Measured with {about.versions}, seed {about.seed}.",
    ]
    return "\n".join([*lines, f"Again: `{about.command}`", ""])


def _section(results: Results, dtype: str) -> list[str]:
    lines = [f"## {dtype}", ""]
    lines += [
        f"- {'reached' if goal.reached else '**not reached**'}: {goal.what}: {goal.found}"
        for goal in goals(results, dtype)
    ]
    lines += _held_out(results.held_out)
    lines += ["", *_gates(results), "", "### Caught, by kind of fault", "", *_kinds(results)]
    lines += ["", "### What our verdict does not catch", "", *_escapes(results)]
    lines += ["", "### False alarms of our verdict", "", *_alarms(results)]
    return [
        *lines,
        "",
        "### What was planted and what was compiled",
        "",
        *_planted(results),
        "",
        *_cells(results),
        "",
    ]


def _held_out(results: Results) -> list[str]:
    """Of all that the goals count, what is of architectures that nothing was tuned on."""
    if not results.findings and not results.cells:
        return []
    sums, systems = tally(results, OURS), {finding.system for finding in results.findings}
    caught, alarms = _of(sums.caught, sums.planted), _of(sums.false_alarms, sums.healthy)
    where = f"in {len(systems)} of these architectures, on which nothing was tuned"
    return [f"- {where}: {caught} caught, false alarms {alarms}"]


def _gates(results: Results) -> list[str]:
    rows = []
    for gate in GATES:
        if why := gate.missing():
            rows.append([gate.name, f"not measured: {why}", "", ""])
            continue
        sums = tally(results, gate.name)
        rows.append(
            [
                gate.name,
                _of(sums.changing_caught, sums.changing),
                _of(sums.caught, sums.planted),
                _of(sums.false_alarms, sums.healthy),
            ]
        )
    return _table(["gate", "caught of the faults that change a detection", "of all faults", "false alarms"], rows)


def _kinds(results: Results) -> list[str]:
    gates = _measured()
    rows = [_kind(name, found, gates) for name, found in by_kind(results).items()]
    rows += [_kind(f"*apart:* {name}", found, gates) for name, found in by_kind(results, apart=True).items()]
    return _table(["kind of fault", "planted", "change a detection", *(gate.name for gate in gates)], rows)


def _kind(name: str, found: Sequence[Finding], gates: Iterable[Gate]) -> list[str]:
    detecting = [finding for finding in found if finding.changes_detections is not None]
    changing = _of(sum(bool(finding.changes_detections) for finding in detecting), len(detecting))
    return [name, str(len(found)), changing, *(share(caught(found, gate.name), len(found)) for gate in gates)]


def _escapes(results: Results) -> list[str]:
    missed, near = escaped(results), nearest(results)
    layers, alone = only_by_layers(results), only_by_layers(results, WHOLE)
    lines = [
        f"{len(missed)} of {len(results.planted)}. Caught by layers alone, all outputs passing: {layers}, of them"
    ]
    lines[0] += f" {alone} only by the layer that is compiled alone."
    if hidden := sum(finding.hidden for finding in missed):
        seen = len(results.planted) - hidden
        lines[0] += f" {hidden} are hidden: for the images that are compared no output differs by a bit, as behind a"
        lines[0] += f" relu; of the others {_of(seen - len(missed) + hidden, seen)} are caught."
    if near is not None:
        where = f"{near.kind}, {near.system} {near.layer} `{near.site}`, {near.detail}"
        lines += [
            "",
            f"Smallest fault that changes a detection: an error ratio of {near.ratio:.3g} ({where}).",
        ]
    if missed:
        head = ["kind", "system", "where", "what", "changes a detection", "why it is not caught"]
        lines += ["", *_table(head, [_escape(finding) for finding in missed[:_MOST_LINES]])]
    if len(missed) > _MOST_LINES:
        lines += ["", f"and {len(missed) - _MOST_LINES} more, with smaller errors; all are in power.json"]
    return lines


def _escape(finding: Finding) -> list[str]:
    where = f"{finding.layer} `{finding.site}`"
    return [finding.kind, finding.system, where, finding.detail, _changes(finding), reason(finding)]


def _changes(finding: Finding) -> str:
    return {True: "yes", False: "no", None: "does not detect"}[finding.changes_detections]


def _alarms(results: Results) -> list[str]:
    alarms = [cell for cell in results.healthy if OURS in cell.flagged]
    ratios = sorted(cell.ratio for cell in results.healthy)
    lines = [f"{len(alarms)} in {len(ratios)} cells."]
    if ratios:
        middle, largest = ratios[len(ratios) // 2], ratios[-1]
        lines[0] += f" Largest error ratio in a cell: median {middle:.2f}, largest of all cells {largest:.2f};"
        alone = max(cell.ratio_alone for cell in results.healthy)
        lines[0] += f" of the layers compiled alone (not by inductor, for time) {alone:.2f}."
    lines += [
        f"- {cell.name}: error ratio {cell.ratio:.2f}, {cell.ratio_alone:.2f} in a layer alone" for cell in alarms
    ]
    if broken := [cell for cell in results.cells if cell.broken]:
        lines += ["", "No healthy cells, and not counted: NaN or infinity came out where the CPU has numbers."]
    return lines + [f"- {cell.name}, flagged by {len(cell.flagged)} gates" for cell in broken]


def _planted(results: Results) -> list[str]:
    nothing = benign(results)
    rows = []
    for system in dict.fromkeys(finding.system for finding in results.findings):
        found = [finding for finding in results.planted if finding.system == system]
        detecting = [finding for finding in found if finding.changes_detections is not None]
        dropped = sum(finding.benign and finding.system == system for finding in results.findings)
        changing = _of(sum(bool(finding.changes_detections) for finding in detecting), len(detecting))
        rows.append([system, str(len(found)), changing, _of(caught(found, OURS), len(found)), str(dropped)])
    kinds = ", ".join(f"{kind} {number}" for kind, number in nothing.items()) or "none"
    table = _table(["system", "planted", "change a detection", "caught by ours", "changed nothing, dropped"], rows)
    return [*table, "", f"Edits that changed no bit of any output, and are not counted, by kind: {kinds}."]


def _cells(results: Results) -> list[str]:
    counts = Counter((cell.system, cell.target) for cell in results.healthy)
    targets = list(dict.fromkeys(cell.target for cell in results.cells))
    systems = list(dict.fromkeys(cell.system for cell in results.cells))
    rows = [[system, *(str(counts[system, target]) for target in targets)] for system in systems]
    lines = _table(["healthy cells", *targets], rows) if rows else ["No healthy cell was looked at."]
    failed = [f"- {cell.system} {cell.shape} @{cell.target}: {cell.error}" for cell in results.cells if cell.error]
    return [*lines, *(["", "Did not compile or did not run:", *failed] if failed else [])]


def _rules() -> list[str]:
    return _table(["gate", "rule", "from"], [[gate.name, gate.rule, gate.source] for gate in GATES])


def _measured() -> list[Gate]:
    return [gate for gate in GATES if gate.missing() is None]


def _of(part: int, whole: int) -> str:
    return f"{share(part, whole)} ({part}/{whole})" if whole else "-"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]


def print_results(results: Results, console: Console) -> None:
    """The gates side by side, what escapes ours, and the goals."""
    for dtype in results.dtypes:
        found = results.of(dtype)
        console.print(_gate_table(found, dtype))
        for finding in escaped(found):
            where = f"{finding.system} {finding.layer} {finding.site}"
            console.print(
                f"not caught: {finding.kind}, {where}, {finding.detail}: {reason(finding)}", highlight=False
            )
        for goal in goals(found, dtype):
            console.print(f"{'reached' if goal.reached else 'not reached'}: {goal.what}: {goal.found}")


def _gate_table(results: Results, dtype: str) -> Table:
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
