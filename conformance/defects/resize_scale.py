"""torch-xla resizes by the ratio of the sizes, also where a scale factor is given that is another number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.cases.outcome import Stage, Status
from conformance.core.deferred import functional, torch
from conformance.defects.defect import Defect, Evidence, MinimalCase
from conformance.defects.resizing import interpolate, resizing
from conformance.graphs.fx_match import images

if TYPE_CHECKING:
    from torch import Tensor
    from torch.fx import Node


def scales_by_another_number(node: Node) -> bool:
    """Whether the node resizes by a scale factor, and the sizes lead to other pixels or weights."""
    found = resizing(node)
    if found is None or found.scales is None or found.align_corners or found.mode == "bicubic":
        return False  # torch-xla leaves bicubic to the CPU
    return any(_differs(found.mode, n, scale) for n, scale in zip(found.before, found.scales, strict=True))


def _differs(mode: str, before: int, scale: float) -> bool:
    """Whether a row whose values are its places is another one by the factor than by the sizes."""
    if before * scale == int(before * scale):
        return False
    row = torch.arange(before, dtype=torch.float32)[None, None, None]
    by_factor = functional.interpolate(row, scale_factor=(1.0, scale), mode=mode)
    by_size = functional.interpolate(row, size=by_factor.shape[2:], mode=mode)
    return not torch.allclose(by_factor, by_size, rtol=0, atol=1e-6 * before)


def resized_by_size(*arguments: Any) -> Tensor:
    """What torch-xla computes: as if the size had been given."""
    x, _, *corners, scales = arguments
    size = [int(n * scale) for n, scale in zip(x.shape[2:], scales, strict=True)]
    if corners:
        return functional.interpolate(x, size, mode="bilinear", align_corners=corners[0])
    return functional.interpolate(x, size, mode="nearest")


RESIZE_SCALE = Defect(
    id="resize-scale-factor",
    title="interpolate(scale_factor=) goes by the sizes where the factor gives no whole number",
    known=(
        "PyTorch computes where a pixel comes from with the scale factor that was given; torch-xla hands on only the "
        "size of the result and divides the sizes. 7 columns times 1.5 are 10, and 1.5 is not 10 / 7. Factors that "
        "give whole numbers, as the 2 of every YOLO, are right. Where the model may be changed, "
        "recompute_scale_factor=True makes PyTorch go by the sizes, too."
    ),
    evidence=Evidence.REPRODUCED,
    seen=(
        "found by the property tests with torch-xla 2.9.0 (CPU); reported of 3 x 3 times 1.5 on CUDA in "
        "pytorch/xla#8897"
    ),
    links=(
        "https://github.com/pytorch/xla/issues/8897",
        "https://github.com/pytorch/xla/blob/v2.9.0/torch_xla/csrc/ops/upsample_bilinear2d.cpp",
    ),
    packages={"torch-xla": ">=2.9"},
    trigger=scales_by_another_number,
    stage=Stage.COMPARE,
    fault=resized_by_size,
    workarounds=("resize",),
    minimal_cases=tuple(
        MinimalCase(
            name=mode,
            title=f"{mode}, 4 x 7 times {factor}",
            build=lambda mode=mode, factor=factor: interpolate(scale_factor=factor, mode=mode),  # type: ignore[misc]
            inputs=images(2, 3, 4, 7),
            batch=2,
            status=Status.WRONG,
            wrong_images=(0, 1),
            workarounds=("resize",),
        )
        for mode, factor in (("bilinear", 1.5), ("nearest", 1.7))
    ),
)
