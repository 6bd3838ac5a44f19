"""How bad errors of which size are for detections: the rule of `conformance/compare/severity.toml`, from a run."""

from __future__ import annotations

from collections.abc import Sequence
from math import floor, isfinite, log10
from statistics import median

from benchmarks.power.findings import MAIN, Finding, Results
from benchmarks.power.json_file import About
from conformance.compare.severity import Rule, Severity, SeverityEvidence
from conformance.core.errors import UserError

UNNOTICED = 0.05  # share of the faults with a negligible error that may change a detection
HALF = 0.5  # what is kept of the detections, in the median, where an error destroys

_HEAD = f"""\
# What errors of which size do to detections: relative L2 error of the worst group and image. Of the faults that were
# planted with a smaller error than `visible`, at most {UNNOTICED:.0%} changed a detection; from `destroyed` on, less
# than {HALF:.0%} of the detections are kept, in the median. It decides nothing. Written by
# `python -m benchmarks.power --write-severity`.
"""


def measured_rule(results: Results, about: About) -> Rule:
    """The rule, from the faults in detectors in float32. Raises UserError where there are too few."""
    found = [one for one in results.of(MAIN).findings if one.kept is not None and not (one.benign or one.apart)]
    found = sorted((one for one in found if isfinite(one.error)), key=lambda one: one.error)
    if len(found) < 100:
        raise UserError(f"{len(found)} faults in detectors are too few to say how bad an error is")
    visible = _rounded(found[_unnoticed(found)].error)
    destroyed = _rounded(found[_destroying(found)].error)
    parts = {
        Severity.NEGLIGIBLE: [one for one in found if one.error < visible],
        Severity.VISIBLE: [one for one in found if visible <= one.error < destroyed],
        Severity.DESTROYED: [one for one in found if one.error >= destroyed],
    }
    systems = sorted({one.system for one in found})
    return Rule(
        by=f"{len(found)} faults planted in {', '.join(systems)}; {about.versions}",
        visible=visible,
        destroyed=destroyed,
        measured={severity: _measured(part) for severity, part in parts.items() if part},
    )


def as_toml(rule: Rule) -> str:
    """The content of `severity.toml`."""
    lines = [_HEAD, f'by = "{rule.by}"', f"visible = {rule.visible!r}", f"destroyed = {rule.destroyed!r}"]
    for severity, part in rule.measured.items():
        lines += ["", f"[measured.{severity.value}]"]
        lines += [f"{name} = {value}" for name, value in part.model_dump().items()]
    return "\n".join([*lines, ""])


def _unnoticed(found: Sequence[Finding]) -> int:
    """The place of the first fault before which too few change a detection to be noticed."""
    changed, place = 0, 0
    for number, one in enumerate(found[:-1], 1):
        changed += bool(one.changes_detections)
        if changed <= UNNOTICED * number:
            place = number
    return place


def _destroying(found: Sequence[Finding]) -> int:
    """The place of the first fault from which on of every twentieth of them, in order, less than half of the
    detections are kept, in the median."""
    width = max(10, len(found) // 20)
    place = len(found) - 1
    for start in range(len(found) - width, -1, -1):
        if median(one.kept or 0.0 for one in found[start : start + width]) >= HALF:
            break
        place = start
    return place


def _rounded(error: float) -> float:
    """Down to one digit."""
    power = floor(log10(error)) if error > 0 else 0
    return float(f"{floor(error / 10.0**power)}e{power}")


def _measured(part: Sequence[Finding]) -> SeverityEvidence:
    changed = sum(bool(one.changes_detections) for one in part)
    return SeverityEvidence(faults=len(part), changed=changed, kept=round(median(one.kept or 0.0 for one in part), 3))
