"""OpenVINO's convolution to a single column reads memory that nobody has written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.cases.outcome import Stage, Status
from conformance.core.deferred import nn
from conformance.defects.defect import Defect, Evidence, MinimalCase
from conformance.graphs.fx_match import arguments, images, layer, operator, pair

if TYPE_CHECKING:
    from torch.fx import Node

_LARGE = 1e30
_SIZES = tuple(4**power for power in range(2, 9))  # of values; each is freed at once


def convolves_to_one_column(node: Node) -> bool:
    """Whether the node convolves one channel to a single column of several rows, strided across and not down; where
    the kernel is as wide as the image, and that a multiple of the stride, it was right."""
    if operator(node) != "conv2d":
        return False
    given = arguments(node)
    if isinstance(given["padding"], str):
        return False
    channels, _, width = given["weight"].meta["val"].shape[1:]
    (down, across), (_, beside) = pair(given["stride"]), pair(given["padding"])
    rows, columns = node.meta["val"].shape[2:]
    if not (channels == given["groups"] == 1 and columns == 1 < rows and down == 1 < across and width > 1):
        return False
    return bool(beside or width % across or given["input"].meta["val"].shape[3] != width)


def _convolution() -> nn.Module:
    """Memory that is free when this ends holds large numbers: who reads it gives himself away."""
    import numpy as np

    for size in _SIZES:
        [np.full(size, _LARGE, np.float32) for _ in range(300)]
    return nn.Conv2d(1, 8, 3, stride=(1, 2), padding=(1, 0))


OPENVINO_CONVOLUTION = Defect(
    id="openvino-one-column",
    title="a convolution of one channel to a single column gives what lies in memory",
    known=(
        "With one input channel, a stride across and none down, and a single column as the result, rows are computed"
        " from memory that is none of the image's: right or wrong as it happens, and up to infinity. Wider results, "
        "more channels, a stride down, kernels of one column, and those as wide as the image where that is a "
        "multiple of the stride, are right."
    ),
    evidence=Evidence.REPRODUCED,
    seen=(
        "found by the property tests with OpenVINO 2026.4.1 on an AMD EPYC with AVX-512, wrong in one process and "
        "right in the next; after free memory is filled with large numbers wrong in 50 of 50, and on one without "
        "AVX-512 in none of 12; seen with 2025.1 to 2026.4.1; not found in public trackers (searched 2026-11)"
    ),
    links=("https://github.com/openvinotoolkit/openvino/tree/master/src/plugins/intel_cpu/src/nodes",),
    packages={"openvino-avx512": ">=2025.1"},
    trigger=convolves_to_one_column,
    stage=Stage.COMPARE,
    workarounds=(),
    minimal_cases=(
        MinimalCase(
            name="strided-across",
            title="8 x 3 by 3 x 3, stride 1 x 2, padding 1 x 0",
            build=lambda: layer(_convolution),
            inputs=images(1, 1, 8, 3),
            batch=1,
            status=Status.WRONG,
            wrong_images=(0,),
            workarounds=(),
        ),
    ),
)
