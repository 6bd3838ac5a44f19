"""Sums over a run: what each gate caught, of which kind, and how often it cried for nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from benchmarks.power.findings import MAIN, Finding, Results
from benchmarks.power.gates import OURS, OUTPUTS_ONLY
from conformance.compare.limits import limit

ENOUGH_CELLS = 200


@dataclass(frozen=True)
class Tally:
    """Of one gate: faults planted and caught, of these the ones that change a detection, healthy cells and alarms."""

    planted: int
    caught: int
    changing: int
    changing_caught: int
    healthy: int
    false_alarms: int


@dataclass(frozen=True)
class Goal:
    """Something that is to be reached, what was found, and whether it is reached."""

    what: str
    found: str
    reached: bool


def tally(results: Results, gate: str) -> Tally:
    """The sums of a gate."""
    changing = [finding for finding in results.planted if finding.changes_detections]
    return Tally(
        planted=len(results.planted),
        caught=caught(results.planted, gate),
        changing=len(changing),
        changing_caught=caught(changing, gate),
        healthy=len(results.healthy),
        false_alarms=sum(gate in cell.flagged for cell in results.healthy),
    )


def caught(findings: Sequence[Finding], gate: str) -> int:
    """How many of these a gate has caught."""
    return sum(gate in finding.caught for finding in findings)


def by_kind(results: Results, apart: bool = False) -> dict[str, list[Finding]]:
    """The faults that are not benign, by kind; those that count, or those that are listed apart."""
    found: dict[str, list[Finding]] = {}
    for finding in results.findings:
        if not finding.benign and finding.apart == apart:
            found.setdefault(finding.kind, []).append(finding)
    return found


def benign(results: Results) -> Counter[str]:
    """How many edits of each kind changed nothing."""
    return Counter(finding.kind for finding in results.findings if finding.benign)


def escaped(results: Results, gate: str = OURS) -> list[Finding]:
    """The faults a gate has not caught: first those that change a detection, then by their error."""
    missed = [finding for finding in results.planted if gate not in finding.caught]
    return sorted(missed, key=lambda finding: (not finding.changes_detections, -finding.ratio))


def nearest(results: Results) -> Finding | None:
    """Of the faults that change a detection and are not hidden, the one with the smallest error."""
    changing = [finding for finding in results.planted if finding.changes_detections and not finding.hidden]
    return min(changing, key=lambda finding: finding.ratio if finding.ratio == finding.ratio else inf, default=None)


def reason(finding: Finding) -> str:
    """Why our gate has not caught a fault."""
    allowed = limit(finding.dtype)
    if finding.hidden:
        return "for the images that are compared no output differs by a bit, only for others"
    what = f"error ratio {finding.ratio:.2g} in the whole model (up to {allowed.outputs:g} is allowed)"
    what += f", {finding.ratio_alone:.2g} in the layer alone (up to {allowed.isolated:g})"
    if max(finding.ratio, finding.ratio_alone) <= 1:
        return f"{what}: no more than equally valid CPU runs differ"
    fits = finding.ratio <= allowed.outputs and finding.ratio_alone <= allowed.isolated
    return what if fits else f"{what}: this should not happen"


def goals(results: Results, dtype: str) -> list[Goal]:
    """What the verdict is to reach at a dtype."""
    ours = tally(results, OURS)
    cells = f"{ours.false_alarms} false alarms in {ours.healthy} healthy cells"
    found = []
    if dtype == MAIN:
        everything = f"{ours.changing_caught} of {ours.changing}"
        found = [
            Goal(
                "every fault that changes a detection is caught",
                everything,
                ours.changing_caught == ours.changing > 0,
            ),
            Goal(
                "at least 99.4 % of all faults are caught",
                f"{share(ours.caught, ours.planted)} ({ours.caught} of {ours.planted})",
                ours.caught >= 0.994 * ours.planted > 0,
            ),
        ]
    else:
        enough = ours.changing_caught >= 0.96 * ours.changing > 0
        part = f"{share(ours.changing_caught, ours.changing)} ({ours.changing_caught} of {ours.changing})"
        found = [Goal("at least 96 % of the faults that change a detection are caught", part, enough)]
    enough_cells = ENOUGH_CELLS if dtype == MAIN else ENOUGH_CELLS // 2  # not every compiler can the others
    quiet = ours.false_alarms == 0 and ours.healthy >= enough_cells
    return [*found, Goal(f"no false alarm in at least {enough_cells} healthy cells", cells, quiet)]


def only_by_layers(results: Results, gate: str = OUTPUTS_ONLY) -> int:
    """How many faults are caught by layers alone, while all outputs pass, or all that another gate sees."""
    return sum(OURS in finding.caught and gate not in finding.caught for finding in results.planted)


def share(part: int, whole: int) -> str:
    """`99.4 %`, never rounded up to 100 nor down to 0; a dash of nothing."""
    if not whole:
        return "-"
    percent = 100 * part / whole
    shown = f"{percent:.1f}"
    if (shown == "100.0" and part < whole) or (shown == "0.0" and part):
        shown = "> 99.9" if part < whole and percent > 50 else "< 0.1"
    return f"{shown.removesuffix('.0')} %"
