"""OpenVINO resizes to one row or column by taking the first one: an old rule of PyTorch, which it has given up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.cases.outcome import Stage, Status
from conformance.defects.defect import Defect, Evidence, MinimalCase
from conformance.defects.resizing import interpolate, resizing
from conformance.graphs.fx_match import images

if TYPE_CHECKING:
    from torch.fx import Node


def resizes_to_one(node: Node) -> bool:
    """Whether the node makes one row of several, or one column, smoothly and with corners not aligned."""
    found = resizing(node)
    if found is None or found.mode == "nearest" or found.align_corners:
        return False
    return any(after == 1 < before for before, after in zip(found.before, found.after, strict=True))


OPENVINO_RESIZE = Defect(
    id="openvino-resize-to-one",
    title="bilinear or bicubic resizing to one row or column gives the first one, not the middle",
    known=(
        "OpenVINO converts F.interpolate with align_corners=False to the coordinates pytorch_half_pixel, which are 0 "
        "where one row or column is left. PyTorch takes the middle there. Pooling that a model writes as "
        "F.interpolate(x, size=(1, 1)) is wrong; write F.adaptive_avg_pool2d or x.mean."
    ),
    evidence=Evidence.REPRODUCED,
    seen=(
        "found by the property tests with OpenVINO 2026.4.1; seen with 2025.1 to 2026.4.1; ONNX Runtime and inductor"
        " are right; not found in public trackers (searched 2026-11), kin of onnx/onnx#4276"
    ),
    links=(
        "https://github.com/onnx/onnx/issues/4276",
        "https://docs.openvino.ai/2025/documentation/openvino-ir-format/operation-sets/operation-specs/image/interpolate-11.html",
    ),
    packages={"openvino": ">=2025.1"},
    trigger=resizes_to_one,
    stage=Stage.COMPARE,
    workarounds=("resize",),
    minimal_cases=tuple(
        MinimalCase(
            name=mode,
            title=f"{mode}, 4 x 6 to 1 x 6",
            build=lambda mode=mode: interpolate(size=(1, 6), mode=mode),  # type: ignore[misc]
            inputs=images(2, 3, 4, 6),
            batch=2,
            status=Status.WRONG,
            wrong_images=(0, 1),
            workarounds=("resize",),
        )
        for mode in ("bilinear", "bicubic")
    ),
)
