"""OpenVINO's pooling with ceil_mode: a divisor that PyTorch does not use, and a window larger than the image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.cases.outcome import Stage, Status
from conformance.core.deferred import functional
from conformance.defects.defect import Defect, Evidence, MinimalCase
from conformance.defects.pooling import reaches_beyond_the_image, windows
from conformance.graphs.fx_match import arguments, calls, images, operator

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
    along = windows(node)
    return any(w.padding for w in along) and any(
        (w.count - 1) * w.stride + w.length > w.size + 2 * w.padding for w in along
    )


def _pooled(x: Tensor) -> Tensor:
    return functional.avg_pool2d(x, 3, stride=2, padding=1, ceil_mode=True)


def _largest(x: Tensor) -> Tensor:
    return functional.max_pool2d(x, 3, stride=2, ceil_mode=True)


OPENVINO_AVG_POOL = Defect(
    id="openvino-avg-pool-ceil",
    title="average pooling with padding and ceil_mode divides the last window by the whole kernel",
    known=(
        "With ceil_mode the last window may end beyond the padded image. PyTorch divides its sum by what is left of "
        "the window there; OpenVINO by the size of the kernel, if the image is padded and the padding counts. Use "
        "count_include_pad=False, or a size at which the windows fit."
    ),
    evidence=Evidence.REPRODUCED,
    seen=(
        "found by the property tests with OpenVINO 2026.4.1; seen with 2025.1 to 2026.4.1; not found in public "
        "trackers (searched 2026-11), kin of onnx/onnx#5276"
    ),
    links=(
        "https://github.com/onnx/onnx/issues/5276",
        "https://docs.openvino.ai/2025/documentation/openvino-ir-format/operation-sets/operation-specs/pooling/avg-pool-14.html",
    ),
    packages={"openvino": ">=2025.1"},
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

OPENVINO_POOL = Defect(
    id="openvino-pool-small-image",
    title="pooling with ceil_mode of an image smaller than the window fails when it is run",
    known=(
        "With ceil_mode PyTorch pools 2 rows with a window of 3 to one. OpenVINO compiles that, and then fails: "
        "'Exception from src/inference/src/cpp/infer_request.cpp'. Pad the image, or take a smaller window."
    ),
    evidence=Evidence.REPRODUCED,
    seen=(
        "OpenVINO 2025.1 to 2026.4.1, while the trigger of openvino-avg-pool-ceil was tried on its neighbours; "
        "not found in public trackers (searched 2026-11)"
    ),
    links=(
        "https://docs.openvino.ai/2025/documentation/openvino-ir-format/operation-sets/operation-specs/pooling/max-pool-14.html",
    ),
    packages={"openvino": ">=2025.1"},
    trigger=reaches_beyond_the_image,
    stage=Stage.RUN,
    workarounds=("max_pool",),
    minimal_cases=(
        MinimalCase(
            name="max-pool",
            title="2 x 4 by 3 x 3, stride 2",
            build=lambda: calls(_largest),
            inputs=images(1, 3, 2, 4),
            batch=1,
            status=Status.ERROR,
            signature="RuntimeError",
            workarounds=("max_pool",),
        ),
    ),
)
