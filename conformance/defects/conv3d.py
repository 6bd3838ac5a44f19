"""neuronx-cc fails on three-dimensional convolutions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.cases.outcome import Stage, Status
from conformance.core.deferred import nn
from conformance.defects.defect import Defect, Evidence, MinimalCase
from conformance.graphs.fx_match import images, layer, operator

if TYPE_CHECKING:
    from torch.fx import Node


def convolves_volumes(node: Node) -> bool:
    """Whether the node is a three-dimensional convolution."""
    return operator(node) == "conv3d"


def _convolution() -> nn.Module:
    return nn.Conv3d(3, 4, 3, padding=1)


CONV3D = Defect(
    id="conv3d",
    title="three-dimensional convolutions fail (NCC_IBIR158)",
    known=(
        "An internal error of the compiler on the encoder of a video model, which is made of them. Whether every one "
        "fails is not said. Run that part on the CPU, or write it as a sum of two-dimensional convolutions."
    ),
    evidence=Evidence.REPORT,
    seen="README of a ported video model, SDK 2.29",
    links=("https://github.com/aws-neuron/neuronx-distributed-inference/pull/117",),
    packages={"neuronx-cc": ">=2.24"},
    trigger=convolves_volumes,
    stage=Stage.COMPILE,
    error_code="NCC_IBIR158",
    workarounds=(),
    minimal_cases=(
        MinimalCase(
            name="convolution",
            title="3 x 3 x 3",
            build=lambda: layer(_convolution),
            inputs=images(1, 3, 4, 6, 6),
            batch=1,
            status=Status.ERROR,
            signature="NCC_IBIR158",
            workarounds=(),
        ),
    ),
)
