"""A limit stands between what was measured of right answers and of wrong ones."""

from __future__ import annotations

from math import ceil

import pytest

from conformance.compare.calibration import FLOORS, calibrated
from conformance.compare.evidence import EVIDENCE, FACTOR, LimitEvidence
from conformance.compare.limits import limit
from conformance.core.errors import UserError
from conformance.core.reading import data_path, read_json
from conformance.report.limits import as_markdown

DTYPES = ("float32", "bfloat16", "float16", "matmult-bf16", "all-bf16")


@pytest.mark.parametrize("dtype", DTYPES)
def test_limits_are_by_the_rule_and_far_below_what_is_faulty(dtype: str) -> None:
    found = limit(dtype)
    for allowed, healthy in (
        (found.outputs, found.healthy.outputs),
        (found.in_place, found.healthy.in_place),
        (found.isolated, found.healthy.isolated),
    ):
        assert healthy is not None
        assert healthy.median <= healthy.p95 <= healthy.largest
        assert allowed == ceil(FACTOR * healthy.largest)
        assert found.faulty is None or allowed < found.faulty.smallest / 1000
    assert found.floor == FLOORS[dtype]


def test_limits_in_force_are_those_of_the_committed_ratios() -> None:
    evidence = read_json(data_path(*EVIDENCE), LimitEvidence)
    assert {dtype: limit(dtype) for dtype in DTYPES} == calibrated(evidence)
    assert evidence.host
    assert evidence.measured
    assert evidence.revision
    assert set(evidence.packages) >= {"openvino", "onnxruntime", "torch", "torch-xla"}
    assert set(evidence.earlier) <= {"bfloat16", "all-bf16"}, "what a machine may lack"
    assert {one.target for one in evidence.healthy} == {"openvino", "onnxruntime", "inductor", "xla"}
    assert data_path(*EVIDENCE).with_suffix(".md").read_text() == as_markdown(evidence, calibrated(evidence))


def test_dtype_without_measured_limits_cannot_be_judged() -> None:
    with pytest.raises(UserError, match="dtype 'float8' cannot be judged yet: limits were measured for float32"):
        limit("float8")
