"""Models with trained weights: no detection of the reference is lost on the device, and none is made up."""

from __future__ import annotations

from conformance.cases.case import Case
from conformance.report.failure import require_detections
from conformance.running.bench import Bench


def test_detections(detection_case: Case, bench: Bench) -> None:
    """At every confidence, the device finds in every image what the reference finds, and nothing else."""
    require_detections(bench.run(detection_case))
