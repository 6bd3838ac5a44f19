"""neuronx-cc refuses the topk of integers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.cases.outcome import Stage, Status
from conformance.defects.defect import Defect, Evidence, MinimalCase
from conformance.graphs.fx_match import arguments, calls, images, operator

if TYPE_CHECKING:
    from torch.fx import Node


def ranks_integers(node: Node) -> bool:
    """Whether the node is a topk of integers."""
    return operator(node) == "topk" and not arguments(node)["self"].meta["val"].dtype.is_floating_point


TOPK_INTEGERS = Defect(
    id="topk-integers",
    title="topk of integers is refused (NCC_EVRF013)",
    known="The compiler's topk takes no int32 and int64. Cast to float32 first, which is exact up to 2**24.",
    evidence=Evidence.REPORT,
    seen="the compiler's documented error codes of SDK 2.32; since which release is not said",
    links=("https://github.com/aws-neuron/aws-neuron-sdk/blob/81ce03ae/compiler/error-codes/EVRF013.rst",),
    packages={"neuronx-cc": ">=2.21"},
    trigger=ranks_integers,
    stage=Stage.COMPILE,
    error_code="NCC_EVRF013",
    workarounds=(),
    minimal_cases=(
        MinimalCase(
            name="integers",
            title="the 5 largest of 84 integers",
            build=lambda: calls(lambda x: (x * 1000).int().topk(5).values.float()),
            inputs=images(1, 84),
            batch=1,
            status=Status.ERROR,
            signature="NCC_EVRF013",
            workarounds=(),
        ),
    ),
)
