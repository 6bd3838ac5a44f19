"""A test's result against what is expected of its case."""

from __future__ import annotations

import shlex

import pytest

from conformance.cases.expectation import Expectation, outcome_of
from conformance.cases.outcome import Record, Status


def failed(record: Record, failure: str, expectation: Expectation | None, options: str) -> None:
    """What becomes of a test that failed: an expected failure where its case ended as is expected; else it fails,
    and says what would accept it. `options` are those of `conformance expect` that find the same files."""
    __tracebackhide__ = True
    if record.status is Status.SUITE_ERROR:  # it says nothing of the device: there is nothing to accept
        pytest.fail(failure, pytrace=False)
    accept = f"  accept: conformance expect --accept {shlex.quote(record.id)} --link URL{options}"
    if expectation is None:
        pytest.fail(f"{failure}\n{accept}", pytrace=False)
    if expectation.over:
        pytest.fail(
            f"{failure}\n  it was accepted until {expectation.until} ({expectation.why})\n{accept}", pytrace=False
        )
    if not expectation.met_by(record):
        headline = f"another failure than is expected: {outcome_of(record)} instead of {expectation.summary}"
        pytest.fail(f"{headline}\n{failure}\n{accept}", pytrace=False)
    flaky = expectation.flaky
    pytest.xfail(expectation.why + (f"; flaky, failed {flaky.failed} of {flaky.runs} runs" if flaky else ""))


def passed(record: Record, expectation: Expectation | None, options: str) -> None:
    """Fail a test that passed, though its case is expected to fail, always."""
    __tracebackhide__ = True
    if expectation is None or expectation.over or expectation.flaky or expectation.met_by(record):
        return
    if record.status is Status.PASS:
        pytest.fail(
            f"unexpected pass: {expectation.summary} is expected ({expectation.why})\n"
            f"  expect nothing: conformance expect --drop {shlex.quote(record.id)}{options}",
            pytrace=False,
        )
