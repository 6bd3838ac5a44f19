"""What the limits were measured on, and what they would have been without each system or compiler: `limits.md`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from conformance.compare.evidence import FACTOR, KINDS, Kind, LimitEvidence, Ratios, left_out
from conformance.compare.limits import Limit
from conformance.report.formatting import markdown_table

_SAID: dict[Kind, str] = {
    "outputs": "outputs of whole models",
    "in_place": "layers in place",
    "isolated": "layers compiled alone",
}
_LEFT_OUT: dict[str, Callable[[Ratios], str]] = {
    "system": lambda ratios: ratios.system,
    "compiler": lambda ratios: ratios.target,
}
_ABOUT = f"""An answer is wrong where its error exceeds that of equally valid CPU runs by more than a limit,
which is {FACTOR} times the largest ratio that a compiler whose answers are right has given, rounded up. The ratios
are in `limits.json` beside this page; a test of the suite computes the limits from them again. How far such a limit
holds for what it was not measured on: below, each system and each compiler is left out in turn, the limit is computed
from the rest, and the cases that were left out are judged by it."""


def as_markdown(evidence: LimitEvidence, limits: Mapping[str, Limit]) -> str:
    """The whole page."""
    packages = ", ".join(f"{name} {number}" for name, number in sorted(evidence.packages.items()))
    about = f"Measured {evidence.measured} on {evidence.host}; {packages}; suite {evidence.revision}."
    lines = ["# Limits, and what they were measured on", "", _ABOUT, "", about, "", _summary(limits)]
    for dtype, healthy in evidence.earlier.items():
        lines += ["", f"{dtype}: of an earlier measurement its largest ratios count, too: {healthy.by}."]
    for what, name_of in _LEFT_OUT.items():
        lines += ["", f"## Without each {what}", "", *_without(evidence, limits, what, name_of)]
    return "\n".join([*lines, ""])


def _summary(limits: Mapping[str, Limit]) -> str:
    head = ("dtype", "of", "limit", "ratios", "median", "95 %", "largest")
    rows = []
    for dtype, limit in limits.items():
        for kind in KINDS:
            if (found := getattr(limit.healthy, kind)) is not None:
                figures = (found.count, found.median, found.p95, found.largest)
                rows.append((dtype, _SAID[kind], f"{getattr(limit, kind):g}", *map(str, figures)))
    return markdown_table(head, rows)


def _without(
    evidence: LimitEvidence, limits: Mapping[str, Limit], what: str, name_of: Callable[[Ratios], str]
) -> Iterator[str]:
    """One line a limit: how many of the cases would have been false alarms, and which part left out costs most."""
    rows, cases, alarms = [], 0, 0
    for dtype, kind in ((dtype, kind) for dtype in limits for kind in KINDS):
        parts = left_out(evidence.of(dtype, kind), name_of)
        if not parts:
            continue
        wrong, judged = sum(part.alarms for part in parts), sum(part.cases for part in parts)
        lowest = min(parts, key=lambda part: part.limit)
        named = ", ".join(f"{part.name} {part.alarms} of {part.cases}" for part in parts if part.alarms)
        rows.append(
            (dtype, _SAID[kind], f"{wrong} of {judged}", f"{lowest.limit} without {lowest.name}", named or "-")
        )
        cases, alarms = cases + judged, alarms + wrong
    share = f"{100 * alarms / cases:.2f} %" if cases else "-"
    yield f"{alarms} of {cases} cases ({share}) would have been false alarms."
    yield ""
    yield markdown_table(("dtype", "of", "false alarms", "lowest limit", f"by {what} that is left out"), rows)
