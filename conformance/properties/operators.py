"""The table of operators that programs are made of."""

from __future__ import annotations

from conformance.properties.elementwise import ELEMENTWISE
from conformance.properties.operator import OpSpec
from conformance.properties.pieces import PIECES
from conformance.properties.ranking import RANKING
from conformance.properties.views import VIEWS
from conformance.properties.windows import WINDOWS

OPERATORS: dict[str, OpSpec] = {
    operator.name: operator for operator in (*ELEMENTWISE, *VIEWS, *PIECES, *WINDOWS, *RANKING)
}

# Their names, each as often as it is to be drawn.
NAMES: list[str] = [name for name, operator in OPERATORS.items() for _ in range(operator.weight)]
