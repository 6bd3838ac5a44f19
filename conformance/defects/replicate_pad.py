"""neuronx-cc fails on padding that repeats the border."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.cases.outcome import Stage, Status
from conformance.core.deferred import functional
from conformance.defects.defect import Defect, Evidence, MinimalCase
from conformance.graphs.fx_match import arguments, calls, images, operator

if TYPE_CHECKING:
    from torch import Tensor
    from torch.fx import Node


def repeats_the_border(node: Node) -> bool:
    """Whether the node pads a volume by repeating its border."""
    padded = operator(node) == "pad" and arguments(node)["mode"] == "replicate"
    return (padded or operator(node) == "replication_pad3d") and len(node.meta["val"].shape) == 5


def _padded(x: Tensor) -> Tensor:
    return functional.pad(x, (1, 1, 1, 1, 1, 1), mode="replicate")


REPLICATE_PAD = Defect(
    id="replicate-pad",
    title="padding of a volume that repeats the border fails (NCC_IDLO901)",
    known="The compiler ends with an assertion on replication_pad3d. Pad with a constant, or repeat slices by cat.",
    evidence=Evidence.REPORT,
    seen="README of a ported video model, SDK 2.29",
    links=("https://github.com/aws-neuron/neuronx-distributed-inference/pull/130",),
    packages={"neuronx-cc": ">=2.24"},
    trigger=repeats_the_border,
    stage=Stage.COMPILE,
    error_code="NCC_IDLO901",
    workarounds=("replicate_pad",),
    minimal_cases=(
        MinimalCase(
            name="volume",
            title="one voxel on every side",
            build=lambda: calls(_padded),
            inputs=images(1, 2, 3, 4, 4),
            batch=1,
            status=Status.ERROR,
            signature="NCC_IDLO901",
            workarounds=("replicate_pad",),
        ),
    ),
)
