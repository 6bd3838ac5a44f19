"""neuronx-cc refuses a transposed convolution with both a stride and a dilation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.cases.outcome import Stage, Status
from conformance.core.deferred import nn
from conformance.defects.defect import Defect, Evidence, MinimalCase
from conformance.graphs.fx_match import arguments, images, layer, operator

if TYPE_CHECKING:
    from torch.fx import Node


def dilates_input_and_kernel(node: Node) -> bool:
    """Whether the node is a transposed convolution that dilates its input, by its stride, and its kernel."""
    if not operator(node).startswith("conv_transpose"):
        return False
    given = arguments(node)
    return any(size != 1 for size in given["stride"]) and any(size != 1 for size in given["dilation"])


def _transposed() -> nn.Module:
    return nn.ConvTranspose2d(4, 4, 3, stride=2, dilation=2)


DILATED_TRANSPOSED = Defect(
    id="dilated-transposed-convolution",
    title="a transposed convolution with both a stride and a dilation is refused (NCC_EVRF010)",
    known=(
        "A transposed convolution is one with a dilated input; the compiler does not dilate the kernel at the same "
        "time. Insert the zeros between the inputs by hand. Its sister NCC_EVRF011, a dilated input with a stride, "
        "comes from no operator of inference."
    ),
    evidence=Evidence.REPORT,
    seen="the compiler's documented error codes of SDK 2.32; since which release is not said",
    links=("https://github.com/aws-neuron/aws-neuron-sdk/blob/81ce03ae/compiler/error-codes/EVRF010.rst",),
    packages={"neuronx-cc": ">=2.21"},
    trigger=dilates_input_and_kernel,
    stage=Stage.COMPILE,
    error_code="NCC_EVRF010",
    workarounds=("conv_transpose",),
    minimal_cases=(
        MinimalCase(
            name="stride-and-dilation",
            title="3 x 3, stride 2, dilation 2",
            build=lambda: layer(_transposed),
            inputs=images(1, 4, 6, 6),
            batch=1,
            status=Status.ERROR,
            signature="NCC_EVRF010",
            workarounds=("conv_transpose",),
        ),
    ),
)
