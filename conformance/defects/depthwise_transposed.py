"""neuronx-cc fails on a transposed convolution of each channel alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.cases.outcome import Stage, Status
from conformance.core.deferred import nn
from conformance.defects.defect import Defect, Evidence, MinimalCase
from conformance.graphs.fx_match import arguments, images, layer, operator

if TYPE_CHECKING:
    from torch.fx import Node


def transposes_channels_alone(node: Node) -> bool:
    """Whether the node is a transposed convolution with as many groups as channels."""
    if not operator(node).startswith("conv_transpose"):
        return False
    given = arguments(node)
    return bool(given["groups"] == given["input"].meta["val"].shape[1] > 1)


def _transposed() -> nn.Module:
    return nn.ConvTranspose2d(8, 8, 4, stride=2, padding=1, groups=8)


DEPTHWISE_TRANSPOSED = Defect(
    id="depthwise-transposed-convolution",
    title="a depthwise transposed convolution fails (NCC_ITEN404)",
    known=(
        "An internal error of the compiler's tensoriser, reported for ConvTranspose1d with 1090 groups; whether it "
        "takes so many, and one dimension, is not said. Write the upsampling as multiplications and additions, or as "
        "F.interpolate and a depthwise convolution."
    ),
    evidence=Evidence.REPORT,
    seen="README of a ported speech model, SDK 2.27",
    links=("https://github.com/aws-neuron/neuronx-distributed-inference/pull/71",),
    packages={"neuronx-cc": ">=2.22"},
    trigger=transposes_channels_alone,
    stage=Stage.COMPILE,
    error_code="NCC_ITEN404",
    workarounds=("conv_transpose",),
    minimal_cases=(
        MinimalCase(
            name="upsampling",
            title="8 channels, 4 x 4, stride 2",
            build=lambda: layer(_transposed),
            inputs=images(1, 8, 6, 6),
            batch=1,
            status=Status.ERROR,
            signature="NCC_ITEN404",
            workarounds=("conv_transpose",),
        ),
    ),
)
