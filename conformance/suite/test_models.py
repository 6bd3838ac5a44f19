"""Every cell of the profile: the compiled model's outputs are right, group by group and image by image."""

from __future__ import annotations

from conformance.cases.case import Case
from conformance.pytest_plugin.assertions import require_pass
from conformance.pytest_plugin.case_runner import CaseRunner


def test_model(model_case: Case, case_runner: CaseRunner) -> None:
    """The model compiles, runs, and no output group of any image is further from the reference than is allowed."""
    require_pass(case_runner.run(model_case))
