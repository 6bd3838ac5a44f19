"""neuronx-cc ran out of strides on the windows of Swin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.cases.outcome import Stage, Status
from conformance.defects.defect import Defect, Evidence, MinimalCase
from conformance.graphs.fx_match import arguments, calls, images, operator

if TYPE_CHECKING:
    from torch import Tensor
    from torch.fx import Node


def cuts_a_batch_into_windows(node: Node) -> bool:
    """Whether the node brings the rows and columns of windows together, of more than one image."""
    if operator(node) != "permute" or len(dims := arguments(node)["dims"]) != 6:
        return False
    return list(dims) == [0, 1, 3, 2, 4, 5] and node.meta["val"].shape[0] > 1


def _windows(x: Tensor) -> Tensor:
    batch, height, width, channels = x.shape
    x = x.view(batch, height // 4, 4, width // 4, 4, channels)
    return x.permute(0, 1, 3, 2, 4, 5).reshape(-1, 16, channels)


WINDOWS_STRIDES = Defect(
    id="windows-strides",
    title="Swin does not compile for two images in SDK 2.21 ([TEN404] Too many strides)",
    known=(
        "An internal error of the tensoriser, reported for Swin and Donut at batch 2; one image compiles. The issue "
        "does not name the operator: the cut into windows is expected to be it, which is a rule of our own."
    ),
    evidence=Evidence.REPORT,
    seen="aws-neuron-sdk#1080; what triggers it is inferred",
    links=("https://github.com/aws-neuron/aws-neuron-sdk/issues/1080",),
    packages={"neuronx-cc": "==2.16.*"},
    history=True,
    trigger=cuts_a_batch_into_windows,
    stage=Stage.COMPILE,
    error_code="TEN404",
    workarounds=(),
    minimal_cases=(
        MinimalCase(
            name="windows",
            title="8 x 8 into 4 x 4, two images",
            build=lambda: calls(_windows),
            inputs=images(2, 8, 8, 3),
            batch=2,
            status=Status.ERROR,
            signature="TEN404",
            workarounds=(),
        ),
    ),
)
