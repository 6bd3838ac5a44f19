"""What was measured of operators, as a page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from conformance.operators.results import FAULTS, Results, Row, Sampled, State
from conformance.report.formatting import markdown_table, one_line

_LONGEST = 160  # characters of a cell


def as_markdown(tables: Sequence[Results], models_with: Callable[[Row], int]) -> str:
    """Counts by target and dtype, then what is not as it should be, first what most models have."""
    lines = ["# Operators, measured", "", _counts(tables)]
    for results in tables:
        versions = ", ".join(f"{name} {version}" for name, version in results.versions.items())
        lines += [
            "",
            f"## {results.target}",
            "",
            f"{results.measured}, {versions}.",
            "",
            _faults(results.rows, models_with),
        ]
    return "\n".join(lines) + "\n"


def _counts(tables: Sequence[Results]) -> str:
    head = ["target", "dtype", "operators", *(state.value.replace("_", " ") for state in State)]
    rows = []
    for results in tables:
        for dtype in dict.fromkeys(one.dtype for one in results.rows):
            found = Counter(one.state for one in results.rows if one.dtype == dtype and (one.right or one.others))
            rows.append([results.target, dtype, str(found.total()), *(str(found[state] or "") for state in State)])
    return markdown_table(head, rows)


def _faults(rows: Sequence[Row], models_with: Callable[[Row], int]) -> str:
    """A line for each operator, dtype and signature: how many samples, and the first of them."""
    found: dict[tuple[State, str, str, str, int], list[Sampled]] = {}
    for row in sorted(rows, key=models_with, reverse=True):
        for one in row.others:
            if one.state in FAULTS:
                found.setdefault(
                    (one.state, one.signature or "", row.operator, row.dtype, models_with(row)), []
                ).append(one)
    if not found:
        return "Nothing is wrong, frozen, refused or crashes."
    lines = []
    for (state, signature, operator, dtype, models), samples in sorted(
        found.items(), key=lambda one: FAULTS.index(one[0][0])
    ):
        first = samples[0]
        what, given = f"{state.value} {signature}".strip(), f"{first.sample}: {first.text}"
        count = str(models or "")
        lines.append(
            [f"`{operator}`", dtype, count, what, str(len(samples)), _cell(given), _cell(first.detail or "")]
        )
    head = ["operator", "dtype", "models with it", "what", "samples", "the first of them", "what it says"]
    return markdown_table(head, lines)


def _cell(text: str) -> str:
    return one_line(text).replace("|", "\\|")[:_LONGEST]
