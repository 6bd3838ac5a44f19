"""neuronx-cc refuses dilated pooling."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.cases.outcome import Stage, Status
from conformance.core.deferred import functional
from conformance.defects.defect import Defect, Evidence, MinimalCase
from conformance.graphs.fx_match import arguments, calls, images, operator

if TYPE_CHECKING:
    from torch import Tensor
    from torch.fx import Node


def pools_dilated(node: Node) -> bool:
    """Whether the node is a max-pooling with a dilation."""
    return operator(node).startswith("max_pool") and any(size != 1 for size in arguments(node)["dilation"])


def _pooled(x: Tensor) -> Tensor:
    return functional.max_pool2d(x, 3, stride=1, padding=1, dilation=2)


DILATED_POOL = Defect(
    id="dilated-pool",
    title="max-pooling with a dilation is refused (NCC_EVRF018)",
    known=(
        "The compiler does not dilate the window of a reduction. A front end of torch-xla never asks it to: there it "
        "is `frozen-fallback`. Pool each of the dilated grid's phases on its own, or stack shifted copies and "
        "take the largest."
    ),
    evidence=Evidence.REPORT,
    seen="the compiler's documented error codes of SDK 2.32; since which release is not said",
    links=("https://github.com/aws-neuron/aws-neuron-sdk/blob/81ce03ae/compiler/error-codes/EVRF018.rst",),
    packages={"torch-neuronx": ">=2.13"},
    trigger=pools_dilated,
    stage=Stage.COMPILE,
    error_code="NCC_EVRF018",
    workarounds=("max_pool",),
    minimal_cases=(
        MinimalCase(
            name="max-pool",
            title="3 x 3, dilation 2",
            build=lambda: calls(_pooled),
            inputs=images(1, 3, 8, 8),
            batch=1,
            status=Status.ERROR,
            signature="NCC_EVRF018",
            workarounds=("max_pool",),
        ),
    ),
)
