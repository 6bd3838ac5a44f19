"""Every layer against its own reference: in place, tapped while the whole model runs; and compiled alone."""

from __future__ import annotations

from conformance.cases.case import Case
from conformance.report.failure import require_good_layers, require_pass
from conformance.running.bench import Bench


def test_in_place(model_case: Case, bench: Bench) -> None:
    """With all layers tapped, none is wrong, not even one whose error no longer shows in the output."""
    require_good_layers(bench.run(model_case))


def test_isolated(layer_case: Case, bench: Bench) -> None:
    """The layer, compiled alone and fed with the reference's own inputs, gives the reference's output."""
    require_pass(bench.run(layer_case))
