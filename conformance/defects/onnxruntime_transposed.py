"""ONNX Runtime refuses an output padding that PyTorch allows for its dilation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.cases.outcome import Stage, Status
from conformance.core.deferred import nn
from conformance.defects.defect import Defect, Evidence, MinimalCase
from conformance.graphs.fx_match import arguments, images, layer, operator

if TYPE_CHECKING:
    from torch.fx import Node


def pads_more_than_the_stride(node: Node) -> bool:
    """Whether the node is a transposed convolution whose output padding is not smaller than its stride."""
    if not operator(node).startswith("conv_transpose"):
        return False
    given = arguments(node)
    stride, padding = given["stride"], given["output_padding"]
    return any(p >= stride[min(axis, len(stride) - 1)] for axis, p in enumerate(padding))


def _transposed() -> nn.Module:
    return nn.ConvTranspose2d(2, 2, 3, output_padding=1, dilation=2)


ONNXRUNTIME_TRANSPOSED = Defect(
    id="onnxruntime-output-padding",
    title="a transposed convolution with an output padding as large as its stride fails when it is run",
    known=(
        "PyTorch wants the output padding smaller than the stride or the dilation, ONNX Runtime smaller than the "
        "stride: 'output_padding may be too large for stride'. The session is made, and session.run fails. Up to "
        "1.27 it does not, and gives wrong numbers, which this entry does not cover."
    ),
    evidence=Evidence.REPRODUCED,
    seen=(
        "found by the property tests with ONNX Runtime 1.31.1; seen with 1.28 to 1.32.0, wrong numbers in "
        "onnxruntime#14208"
    ),
    links=(
        "https://github.com/microsoft/onnxruntime/issues/14208",
        "https://onnx.ai/onnx/operators/onnx__ConvTranspose.html",
    ),
    packages={"onnxruntime": ">=1.28"},
    trigger=pads_more_than_the_stride,
    stage=Stage.RUN,
    workarounds=(),
    minimal_cases=(
        MinimalCase(
            name="dilated",
            title="3 x 3, dilation 2, output padding 1",
            build=lambda: layer(_transposed),
            inputs=images(1, 2, 4, 4),
            batch=1,
            status=Status.ERROR,
            signature="InvalidArgument",
            workarounds=(),
        ),
    ),
)
