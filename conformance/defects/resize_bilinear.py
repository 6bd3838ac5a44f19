"""neuronx-cc did not know torch-xla's custom call for bilinear resizing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.cases.outcome import Stage, Status
from conformance.defects.defect import Defect, Evidence, MinimalCase
from conformance.defects.resizing import interpolate, resizing
from conformance.graphs.fx_match import images

if TYPE_CHECKING:
    from torch.fx import Node


def resizes_bilinearly(node: Node) -> bool:
    """Whether the node is that."""
    found = resizing(node)
    return found is not None and found.mode == "bilinear"


RESIZE_BILINEAR = Defect(
    id="resize-bilinear-refused",
    title="bilinear resizing was not compiled by SDK 2.18 to 2.20",
    known=(
        "torch-xla hands it on as a custom call, ResizeBilinear, that those compilers did not recognise: DeepLab and "
        "every model with nn.Upsample(mode='bilinear') failed. The documentation of SDK 2.32 lists the call as known."
    ),
    evidence=Evidence.REPORT,
    seen="aws-neuron-sdk#889 and #995",
    links=(
        "https://github.com/aws-neuron/aws-neuron-sdk/issues/889",
        "https://github.com/aws-neuron/aws-neuron-sdk/issues/995",
    ),
    packages={"neuronx-cc": ">=2.13,<2.16"},
    history=True,
    trigger=resizes_bilinearly,
    stage=Stage.COMPILE,
    error_code="ResizeBilinear",
    workarounds=("resize",),
    minimal_cases=(
        MinimalCase(
            name="twice",
            title="8 x 8 to 16 x 16",
            build=lambda: interpolate(scale_factor=2, mode="bilinear"),
            inputs=images(1, 3, 8, 8),
            batch=1,
            status=Status.ERROR,
            signature="ResizeBilinear",
            workarounds=("resize",),
        ),
    ),
)
