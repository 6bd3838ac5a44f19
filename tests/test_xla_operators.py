"""In the torch-xla environment: the table of operators says what torch-xla does. `make test-xla`."""

from __future__ import annotations

from random import Random

import pytest

from conformance.operators.calls import CALLS
from conformance.operators.measure import rows
from conformance.operators.table import table
from conformance.targets.xla import Xla

pytestmark = pytest.mark.xla
if Xla().missing():
    pytest.skip("needs the torch-xla environment", allow_module_level=True)


def test_measured_again_it_is_the_same() -> None:
    some = Random(0).sample(sorted(CALLS), 20)
    again = {(row.operator, row.off, row.on) for row in rows(some)}
    assert len(again) > 20
    assert again <= {(row.operator, row.off, row.on) for row in table().rows}
