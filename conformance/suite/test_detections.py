"""Models with trained weights: no detection of the reference is lost on the device, and none is made up."""

from __future__ import annotations

from conformance.cases.case import Case
from conformance.pytest_plugin.assertions import require_detections
from conformance.pytest_plugin.case_runner import CaseRunner


def test_detections(detection_case: Case, case_runner: CaseRunner) -> None:
    """At every confidence, the device finds in every image what the reference finds, and nothing else."""
    require_detections(case_runner.run(detection_case))
