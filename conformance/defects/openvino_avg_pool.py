"""OpenVINO divides the sum of an average pooling's last window by the whole kernel where PyTorch does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.cases.outcome import Stage, Status
from conformance.defects.defect import Defect, Evidence, MinimalCase
from conformance.defects.small import arguments, calls, images, operator, pair

if TYPE_CHECKING:
    from torch import Tensor
    from torch.fx import Node


def reaches_beyond_the_padding(node: Node) -> bool:
    """Whether the node pools averages of a padded image, the padding counted, and a window ends beyond it."""
    if operator(node) != "avg_pool2d":
        return False
    given = arguments(node)
    if not given["ceil_mode"] or not given["count_include_pad"] or given["divisor_override"] is not None:
        return False
    sizes, results = given["self"].meta["val"].shape[2:], node.meta["val"].shape[2:]
    kernel, padding = pair(given["kernel_size"]), pair(given["padding"])
    along = zip(sizes, results, kernel, pair(given["stride"] or kernel), padding, strict=True)
    return any(p and (after - 1) * s + k > before + 2 * p for before, after, k, s, p in along)


def _pooled(x: Tensor) -> Tensor:
    from torch.nn import functional

    return functional.avg_pool2d(x, 3, stride=2, padding=1, ceil_mode=True)


OPENVINO_AVG_POOL = Defect(
    id="openvino-avg-pool-ceil",
    title="average pooling with padding and ceil_mode divides the last window by the whole kernel",
    known=(
        "With ceil_mode the last window may end beyond the padded image. PyTorch divides its sum by what is left of "
        "the window there; OpenVINO by the size of the kernel, if the image is padded and the padding counts. Use "
        "count_include_pad=False, or a size at which the windows fit."
    ),
    evidence=Evidence.REPRODUCED,
    seen="found by the property tests with OpenVINO 2026.4.1",
    links=(
        "https://docs.openvino.ai/2025/documentation/openvino-ir-format/operation-sets/operation-specs/pooling/avg-pool-14.html",
    ),
    packages={"openvino": "==2026.4.1"},
    trigger=reaches_beyond_the_padding,
    stage=Stage.COMPARE,
    workarounds=(),
    minimal_cases=(
        MinimalCase(
            name="padded-ceil",
            title="4 x 6 by 3 x 3, stride 2, padding 1",
            build=lambda: calls(_pooled),
            inputs=images(2, 3, 4, 6),
            batch=2,
            status=Status.WRONG,
            wrong_images=(0, 1),
            workarounds=(),
        ),
    ),
)
