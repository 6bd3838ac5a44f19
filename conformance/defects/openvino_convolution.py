"""OpenVINO's convolution to a single column reads memory that nobody has written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.cases.outcome import Stage, Status
from conformance.defects.defect import Defect, Evidence, MinimalCase
from conformance.defects.small import arguments, images, layer, operator, pair

if TYPE_CHECKING:
    from torch import nn
    from torch.fx import Node

_LARGE = 1e30
_SIZES = tuple(4**power for power in range(2, 9))  # of values; each is freed at once


def convolves_to_one_column(node: Node) -> bool:
    """Whether the node convolves one channel, padded above, to a single column that is strided and its rows not."""
    if operator(node) != "conv2d":
        return False
    given = arguments(node)
    if isinstance(given["padding"], str):
        return False
    channels, height = given["weight"].meta["val"].shape[1:3]
    (down, across), (above, _) = pair(given["stride"]), pair(given["padding"])
    alone = channels == given["groups"] == 1
    return bool(alone and node.meta["val"].shape[3] == 1 and down == 1 < across and above > 0 and height > 2)


def _convolution() -> nn.Module:
    """Memory that is free when this ends holds large numbers: who reads it gives himself away."""
    import numpy as np
    from torch import nn

    for size in _SIZES:
        [np.full(size, _LARGE, np.float32) for _ in range(300)]
    return nn.Conv2d(1, 8, 3, stride=(1, 2), padding=(1, 0))


OPENVINO_CONVOLUTION = Defect(
    id="openvino-one-column",
    title="a convolution of one channel to a single column gives what lies in memory",
    known=(
        "With one input channel, a stride across and none down, and padding above and below, the rows between the "
        "first and the last are computed from memory that is none of the image's: right or wrong as it happens, and "
        "up to infinity. Wider outputs, more channels and paddings at the sides alone are right."
    ),
    evidence=Evidence.REPRODUCED,
    seen=(
        "found by the property tests with OpenVINO 2026.4.1 on an AMD EPYC, wrong in one process and right in the "
        "next; after free memory is filled with large numbers wrong in 50 of 50"
    ),
    links=("https://github.com/openvinotoolkit/openvino/tree/master/src/plugins/intel_cpu/src/nodes",),
    packages={"openvino": "==2026.4.1"},
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
