"""neuronx-cc crashes on the halves of a small feature map in a batch of four."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.cases.outcome import Stage, Status
from conformance.defects.defect import Defect, Evidence, MinimalCase
from conformance.graphs.fx_match import arguments, calls, images, operator

if TYPE_CHECKING:
    from torch.fx import Node

PIXELS = 264  # of the feature map, from which on it was seen to compile
CHANNELS = 256  # of the only maps that were reported


def halves_a_small_map(node: Node) -> bool:
    """Whether the node splits the many channels of four images of few pixels."""
    if operator(node) != "split_with_sizes":
        return False
    given = arguments(node)
    shape = given["self"].meta["val"].shape
    if len(shape) != 4 or given["dim"] not in (1, -3):
        return False
    return bool(shape[0] == 4 and shape[1] >= CHANNELS and shape[2] * shape[3] < PIXELS)


BATCH4_SPLIT = Defect(
    id="batch-4-split",
    title="a batch of 4 crashes the compiler where small feature maps are split (exit 70, NCC_IPCC901)",
    known=(
        "LegalizeSundaMacro ends with an internal error on the backbone of YOLO26, in layer 8 (C3k2, which is C2f "
        "with a split) at 384 x 640: a (4, 256, 12, 20) map in halves. The sources do not agree: the issue says that "
        "batches of 8 and 16 fail, too, with every flag; the port's README that only 4 does, of 1 to 16, and only "
        "below some 264 pixels. What both say is expected here, of 256 channels or more. chunk(2, 1) in the split's "
        "place compiles."
    ),
    evidence=Evidence.REPORT,
    seen="inf2 and trn1, SDK 2.26.1 and 2.29.1, in the issue and in the history of the published port",
    links=(
        "https://github.com/aws-neuron/aws-neuron-sdk/issues/1323",
        "https://github.com/aws-neuron/neuronx-distributed-inference/pull/151",
    ),
    packages={"neuronx-cc": ">=2.21.33363"},
    hardware=("inf2", "trn1"),
    trigger=halves_a_small_map,
    stage=Stage.COMPILE,
    error_code="NCC_IPCC901",
    workarounds=("chunk",),
    minimal_cases=(
        MinimalCase(
            name="halves",
            title="(4, 256, 12, 20) in two halves",
            build=lambda: calls(lambda x: x.split([128, 128], 1)),
            inputs=images(4, 256, 12, 20),
            batch=4,
            status=Status.ERROR,
            signature="NCC_IPCC901",
            workarounds=("chunk",),
        ),
    ),
)
