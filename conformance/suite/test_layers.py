"""Every layer against its own reference: in place, tapped while the whole model runs; and compiled alone."""

from __future__ import annotations

from conformance.cases.case import Case
from conformance.pytest_plugin.assertions import require_good_layers, require_pass
from conformance.pytest_plugin.case_runner import CaseRunner


def test_in_place(model_case: Case, case_runner: CaseRunner) -> None:
    """With all layers tapped, none is wrong, not even one whose error no longer shows in the output."""
    require_good_layers(case_runner.run(model_case))


def test_isolated(layer_case: Case, case_runner: CaseRunner) -> None:
    """The layer, compiled alone and fed with the reference's own inputs, gives the reference's output."""
    require_pass(case_runner.run(layer_case))
