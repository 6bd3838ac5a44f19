"""torch-xla's pooling with ceil_mode, where the window is larger than the image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.cases.outcome import Stage, Status
from conformance.core.deferred import functional
from conformance.defects.defect import Defect, Evidence, MinimalCase
from conformance.defects.pooling import reaches_beyond_the_image
from conformance.graphs.fx_match import calls, images, pair

if TYPE_CHECKING:
    from torch import Tensor


def _added(size: int, kernel: int, stride: int, padding: int) -> int:
    """How far torch-xla extends an image on its right. The remainder is C++'s: below 0 where the window is larger."""
    over = size + 2 * padding - kernel
    remainder = over % stride if over >= 0 else -(-over % stride)
    if remainder == 0:
        return 0
    extra = stride - remainder
    windows = (over + extra + stride - 1) // stride + 1
    return extra if (windows - 1) * stride < size + padding else 0


def _pooled_beyond(x: Tensor, kernel_size: Any, stride: Any = (), padding: Any = 0, *more: Any) -> Tensor:
    """The largest values in the windows that torch-xla has; none of it where it has no window."""
    kernel, given = pair(kernel_size), pair(padding)
    steps = pair(stride) if stride else kernel
    added = [_added(*along) for along in zip(x.shape[-2:], kernel, steps, given, strict=True)]
    (left, right), (top, bottom) = ((p, p + more) for p, more in zip(given[::-1], added[::-1], strict=True))
    wide: Tensor = functional.pad(x, (left, right, top, bottom), value=float("-inf"))
    counts = [max(0, (n - k) // s + 1) for n, k, s in zip(wide.shape[-2:], kernel, steps, strict=True)]
    return functional.max_pool2d(wide, kernel, steps) if all(counts) else x.new_empty((*x.shape[:-2], *counts))


def _largest(x: Tensor) -> Tensor:
    return functional.max_pool2d(x, 5, stride=2, ceil_mode=True)


XLA_POOL = Defect(
    id="xla-pool-small-image",
    title="pooling with ceil_mode of an image smaller than the window gives another shape, or is refused",
    known=(
        "With ceil_mode PyTorch pools 4 rows with a window of 5 to one. torch-xla takes the remainder of a negative "
        "number for how far the last window is to reach: with stride 2 it gives two rows; elsewhere none, or "
        "'Slice dim size 3 greater than dynamic slice dimension: 2'. Pad the image, or take a smaller window."
    ),
    evidence=Evidence.REPRODUCED,
    seen=(
        "torch-xla 2.9.0 (CPU): of 357 sizes that were tried wherever the window is larger than the padded image, "
        "and nowhere else; kin of pytorch/xla#2578, mended in 2020; not found in public trackers (searched 2026-11)"
    ),
    links=(
        "https://github.com/pytorch/xla/issues/2578",
        "https://github.com/pytorch/xla/blob/v2.9.0/torch_xla/csrc/pooling.cpp",
    ),
    packages={"torch-xla": ">=2.9"},
    trigger=reaches_beyond_the_image,
    stage=Stage.COMPARE,
    fault=_pooled_beyond,
    workarounds=("max_pool",),
    minimal_cases=(
        MinimalCase(
            name="max-pool",
            title="4 x 4 by 5 x 5, stride 2",
            build=lambda: calls(_largest),
            inputs=images(2, 3, 4, 4),
            batch=2,
            status=Status.MISMATCH,
            or_error="RuntimeError",
            workarounds=("max_pool",),
        ),
    ),
)
