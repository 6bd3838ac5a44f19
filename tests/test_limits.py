"""A limit stands between what was measured of right answers and of wrong ones."""

from __future__ import annotations

import pytest

from conformance.cases.errors import UserError
from conformance.compare.limits import limit


def test_limits_stand_between_healthy_and_faulty() -> None:
    found = limit("float32")
    for allowed, healthy in (
        (found.outputs, found.healthy.outputs),
        (found.layers, found.healthy.in_place),
        (found.layers, found.healthy.isolated),
    ):
        assert 2 * healthy.largest < allowed < found.faulty.smallest / 100
        assert healthy.median <= healthy.p95 <= healthy.largest
    assert found.floor == pytest.approx(2**-24)


def test_dtype_without_measured_limits_cannot_be_judged() -> None:
    with pytest.raises(UserError, match="dtype 'float16' cannot be judged yet: limits were measured for float32"):
        limit("float16")
