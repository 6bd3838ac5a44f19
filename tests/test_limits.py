"""A limit stands between what was measured of right answers and of wrong ones."""

from __future__ import annotations

from math import ceil

import pytest

from conformance.cases.errors import UserError
from conformance.compare.calibration import FACTOR, FLOORS
from conformance.compare.limits import limit

DTYPES = ("float32", "bfloat16", "float16", "matmult-bf16", "all-bf16")


@pytest.mark.parametrize("dtype", DTYPES)
def test_limits_are_by_the_rule_and_far_below_what_is_faulty(dtype: str) -> None:
    found = limit(dtype)
    for allowed, healthy in (
        (found.outputs, found.healthy.outputs),
        (found.in_place, found.healthy.in_place),
        (found.isolated, found.healthy.isolated),
    ):
        assert healthy is not None and healthy.median <= healthy.p95 <= healthy.largest
        assert allowed == ceil(FACTOR * healthy.largest)
        assert found.faulty is None or allowed < found.faulty.smallest / 1000
    assert found.floor == FLOORS[dtype]


def test_dtype_without_measured_limits_cannot_be_judged() -> None:
    with pytest.raises(UserError, match="dtype 'float8' cannot be judged yet: limits were measured for float32"):
        limit("float8")
