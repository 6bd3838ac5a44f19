"""neuronx-cc failed an assertion on resizing to the nearest pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.cases.outcome import Stage, Status
from conformance.defects.defect import Defect, Evidence, MinimalCase
from conformance.defects.resizing import interpolate, resizing
from conformance.graphs.fx_match import images

if TYPE_CHECKING:
    from torch.fx import Node


def resizes_to_an_odd_multiple(node: Node) -> bool:
    """Whether the node resizes to the nearest pixel, to sizes that are no multiples of those before."""
    found = resizing(node)
    if found is None or found.mode != "nearest":
        return False
    return any(after % before for before, after in zip(found.before, found.after, strict=True))


RESIZE_NEAREST = Defect(
    id="resize-nearest-assertion",
    title="resizing to the nearest pixel failed in neuronx-cc 2.12 (resize_nearest_fixed_dma_kernel)",
    known=(
        "Reported for DETR, whose masks are resized to odd sizes. Ratios that are not whole are expected to be hit, "
        "which is a rule of our own."
    ),
    evidence=Evidence.REPORT,
    seen="aws-neuron-sdk#844: facebook/detr-resnet-50, neuronx-cc 2.12.68; what triggers it is inferred",
    links=("https://github.com/aws-neuron/aws-neuron-sdk/issues/844",),
    packages={"neuronx-cc": "==2.12.*"},
    history=True,
    trigger=resizes_to_an_odd_multiple,
    stage=Stage.COMPILE,
    error_code="resize_nearest_fixed_dma_kernel",
    workarounds=("resize",),
    minimal_cases=(
        MinimalCase(
            name="odd-size",
            title="8 x 8 to 13 x 13",
            build=lambda: interpolate(size=(13, 13)),
            inputs=images(1, 3, 8, 8),
            batch=1,
            status=Status.ERROR,
            signature="resize_nearest_fixed_dma_kernel",
            workarounds=("resize",),
        ),
    ),
)
