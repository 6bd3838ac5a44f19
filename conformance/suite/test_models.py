"""Every cell of the profile: the compiled model's outputs are right, group by group and image by image."""

from __future__ import annotations

from conformance.cases.case import Case
from conformance.report.failure import require_pass
from conformance.running.bench import Bench


def test_model(model_case: Case, bench: Bench) -> None:
    """The model compiles, runs, and no output group of no image is further from the reference than noise."""
    require_pass(bench.run(model_case))
