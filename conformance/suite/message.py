"""What a property test says: how the smallest program failed, as a script, and what can be done."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.cases.outcome import Outcome, Status
from conformance.properties.program import ProgramSpec
from conformance.properties.setups import Setup
from conformance.report.failure import group_lines

_ACCEPT = "--accept --reason TEXT makes it a case that is expected to fail; the search then goes on past it"


def describe(program: ProgramSpec, outcome: Outcome, setup: Setup) -> str:
    """How a program failed, and the script that shows it."""
    last = [outcome.traceback or ""] if outcome.status is Status.SUITE_ERROR else [f"  {_ACCEPT}"]
    return "\n".join([*_failure(outcome, setup), "", _script(program, setup), *last])


def _failure(outcome: Outcome, setup: Setup) -> Iterator[str]:
    yield f"{outcome.summary} on {setup}"
    if outcome.detail:
        yield outcome.detail
    yield from group_lines(outcome.groups)
    if outcome.defects:
        yield f"  known: {', '.join(outcome.defects)}"


def _script(program: ProgramSpec, setup: Setup) -> str:
    from conformance.properties.script import script

    return script(program, setup)
