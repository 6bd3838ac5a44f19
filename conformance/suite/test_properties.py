"""Random small programs: what the target computes equals the reference; and programs that are known to fail.

`--hypothesis-profile ci|dev|nightly` says how many; what is found is shrunk and printed as a script.
"""

from __future__ import annotations

import warnings

import pytest

from conformance.cases.outcome import Status, describe_outcome
from conformance.core.errors import UserError
from conformance.properties.accepted import Accepted, accept_program
from conformance.properties.search import Search
from conformance.properties.setups import Setup
from conformance.pytest_plugin.options import given
from conformance.pytest_plugin.suite_run import PROPERTIES, WHY
from conformance.suite.message import describe


def test_programs(setup: Setup, search: Search, pytestconfig: pytest.Config) -> None:
    """No program that hypothesis draws fails, but for what is known."""
    from conformance.properties.fuzz import fuzz
    from conformance.properties.profiles import chosen_profile

    folder = pytestconfig.rootpath / ".hypothesis" / "programs" / str(setup)
    found = fuzz(search, chosen_profile(pytestconfig.getoption("--hypothesis-profile", None)), str(folder))
    print(f"{setup}: " + ", ".join(f"{n} {verdict}" for verdict, n in search.tried.most_common()))
    if found is None:
        return
    if given(pytestconfig, "accept") and found[1].status is not Status.SUITE_ERROR:
        path = accept_program(
            pytestconfig.stash[PROPERTIES].folder, *found, setup, search.target, pytestconfig.stash[WHY]
        )
        warnings.warn(f"accepted: {path}", stacklevel=1)
        return
    pytest.fail(describe(*found, setup), pytrace=False)


def test_accepted(accepted: Accepted, setup: Setup, search: Search) -> None:
    """An accepted program fails where it is expected to, exactly as it did, and is right everywhere else."""
    try:
        outcome = search.outcome(accepted.program)
    except UserError as error:
        pytest.fail(f"cannot be run: {error}", pytrace=False)
    if outcome.status is Status.SUITE_ERROR:
        pytest.fail(describe(accepted.program, outcome, setup), pytrace=False)
    if not outcome.decided:
        pytest.skip(f"{outcome.status.value}: {outcome.detail}")
    if not accepted.expected_at(setup, search.target):
        if outcome.status is not Status.PASS and not search.known(accepted.program, outcome):
            pytest.fail(describe(accepted.program, outcome, setup), pytrace=False)
    elif outcome.status is Status.PASS:
        pytest.fail(f"unexpected pass: {accepted.name}; if it is fixed, narrow its packages", pytrace=False)
    elif not accepted.fails_alike(outcome):
        wanted = describe_outcome(accepted.status, accepted.stage, accepted.signature)
        pytest.fail(f"another failure than the known one: {outcome.summary} instead of {wanted}", pytrace=False)
