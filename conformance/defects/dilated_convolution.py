"""neuronx-cc computed convolutions wrong whose dilation is larger than their kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.cases.outcome import Stage, Status
from conformance.core.deferred import nn
from conformance.defects.defect import Defect, EmulatedFault, Evidence, MinimalCase
from conformance.graphs.fx_match import arguments, images, layer, operator

if TYPE_CHECKING:
    from torch.fx import Node


def dilates_more_than_the_kernel(node: Node) -> bool:
    """Whether the node is a convolution with a dilation larger than its kernel, in any dimension."""
    if operator(node) not in ("conv1d", "conv2d", "conv3d"):
        return False
    given = arguments(node)
    kernel = given["weight"].meta["val"].shape[2:]
    dilation = given["dilation"] * len(kernel) if len(given["dilation"]) == 1 else given["dilation"]
    return any(size < step for size, step in zip(kernel, dilation, strict=True))


def _convolution() -> nn.Module:
    return nn.Conv2d(3, 4, 3, padding=6, dilation=6)


DILATED_CONVOLUTION = Defect(
    id="dilated-convolution",
    title="convolutions with a dilation larger than their kernel are wrong before SDK 2.30",
    known=(
        "A silent corruption that the release notes name among what is fixed. The atrous pyramids of DeepLab, with "
        "dilations of 6, 12 and 18, are of this kind. Upgrade."
    ),
    evidence=Evidence.REPORT,
    seen="release notes of SDK 2.30; what comes out is not said",
    links=("https://github.com/aws-neuron/aws-neuron-sdk/blob/81ce03ae/release-notes/components/compiler.rst",),
    packages={"neuronx-cc": "<2.25"},
    fixed_in="2.30.0",
    trigger=dilates_more_than_the_kernel,
    stage=Stage.COMPARE,
    fault=EmulatedFault.UNPUBLISHED,
    workarounds=(),
    minimal_cases=(
        MinimalCase(
            name="atrous",
            title="3 x 3, dilation 6",
            build=lambda: layer(_convolution),
            inputs=images(2, 3, 16, 16),
            batch=2,
            status=Status.WRONG,
            wrong_images=(0, 1),
            workarounds=(),
        ),
    ),
)
