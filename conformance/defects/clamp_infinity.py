"""neuronx-cc took a constant for minus infinity as the bound of a clamp."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from conformance.cases.outcome import Stage, Status
from conformance.defects.defect import Defect, EmulatedFault, Evidence, MinimalCase
from conformance.graphs.fx_match import arguments, calls, images, operator

if TYPE_CHECKING:
    from torch.fx import Node


def clamps_at_minus_infinity(node: Node) -> bool:
    """Whether the node is a clamp with minus infinity as a bound."""
    if not operator(node).startswith("clamp"):
        return False
    given = arguments(node)
    return -inf in (given.get("min"), given.get("max"))


CLAMP_INFINITY = Defect(
    id="clamp-minus-infinity",
    title="clamp with a bound of -inf is wrong before SDK 2.29",
    known=(
        "The compiler replaced minus infinity by a constant. A silent corruption that the release notes name among "
        "what is fixed; the constant is not said. Leave the bound out: clamp(max=...)."
    ),
    evidence=Evidence.REPORT,
    seen="release notes of SDK 2.29; what comes out is not said",
    links=("https://github.com/aws-neuron/aws-neuron-sdk/blob/81ce03ae/release-notes/components/compiler.rst",),
    packages={"neuronx-cc": "<2.24"},
    fixed_in="2.29.0",
    trigger=clamps_at_minus_infinity,
    stage=Stage.COMPARE,
    fault=EmulatedFault.UNPUBLISHED,
    workarounds=(),
    minimal_cases=(
        MinimalCase(
            name="no-lower-bound",
            title="clamp(-inf, 0.5)",
            build=lambda: calls(lambda x: x.clamp(-inf, 0.5)),
            inputs=images(2, 3, 8),
            batch=2,
            status=Status.WRONG,
            wrong_images=(0, 1),
            workarounds=(),
        ),
    ),
)
