"""Small calls that operators are measured with. What is typed here are the calls; what they do is measured."""

from __future__ import annotations

from collections.abc import Mapping

from conformance.operators import layers, values
from conformance.operators.given import Call

CALLS: Mapping[str, Call] = {
    **values.BY_VALUE,
    **values.SEARCHING,
    **values.REDUCING,
    **values.ELEMENTWISE,
    **layers.MOVING,
    **layers.WINDOWS,
    **layers.PRODUCTS,
}
