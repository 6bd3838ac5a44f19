"""torchvision beside a torch it was not built for: suppression and RoIAlign on the CPU, without its own kernels.

PyPI's torchvision is a CUDA build. Its kernels do not load beside a CPU torch, and then it does not even import.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from importlib.machinery import PathFinder
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from conformance.core.deferred import functional, torch
from conformance.models.boxes import survivors

if TYPE_CHECKING:
    from torch import Tensor

# Takes boxes (N, 4), scores (N,) and a threshold; see `suppress`.
Suppress = Callable[["Tensor", "Tensor", float], "Tensor"]


@cache
def own_kernels() -> bool:
    """Make `import torchvision` work, to be called before it is imported for the first time.

    True where it has its own kernels; False where `suppress` and `pool_regions` below stand in for them.
    """
    if "torchvision" in sys.modules or _loads():
        return True
    _define()
    for name in ("boxes", "deform_conv", "ps_roi_align", "ps_roi_pool", "roi_pool"):
        import_module(f"torchvision.ops.{name}")._assert_has_ops = lambda: None  # type: ignore[attr-defined]
    module = _regions()
    slow = module._roi_align.__wrapped__  # compiled, as it is there, it takes 20 s at the first call
    module._roi_align = lambda *given: pool_regions(*given[:6]) if given[5] > 0 and not given[6] else slow(*given)
    return False


@contextmanager
def seen_whole() -> Iterator[None]:
    """While inside, a graph has RoIAlign as one operator, as it has where torchvision's own kernels load."""
    if "torchvision" not in sys.modules or _loads():
        yield
        return
    module = _regions()
    before = module._has_ops, module._assert_has_ops
    module._has_ops, module._assert_has_ops = (lambda: True), (lambda: None)
    try:
        yield
    finally:
        module._has_ops, module._assert_has_ops = before


def _regions() -> Any:
    return import_module("torchvision.ops.roi_align")


def suppression() -> Suppress | None:
    """torchvision's own, as `suppress` below, where it is installed and its kernels load."""
    if not _loads():
        return None
    own: Suppress = import_module("torchvision.ops").nms
    return own


@cache
def _loads() -> bool:
    """Whether torchvision is installed and its library of kernels loads."""
    if (package := find_spec("torchvision")) is None:
        return False
    library = PathFinder.find_spec("_C", package.submodule_search_locations)
    if library is None or library.origin is None:
        return False
    try:
        torch.ops.load_library(library.origin)  # type: ignore[no-untyped-call]
    except OSError:
        return False
    return True


_kept: list[Any] = []  # an operator is undefined again when its library is collected


def _pooled(x: Tensor, regions: Tensor, _: float, height: int, width: int, *more: Any) -> Tensor:
    return x.new_empty((len(regions), x.shape[1], height, width))


def _with_indices(*given: Any) -> tuple[Tensor, Tensor]:
    pooled = _pooled(*given)
    return pooled, torch.empty_like(pooled, dtype=torch.int32)


def _convolved(x: Tensor, weight: Tensor, offset: Tensor, *more: Any) -> Tensor:
    return x.new_empty((x.shape[0], weight.shape[0], *offset.shape[2:]))


# Operators that torch.export must know to see them: what they take and give, and what gives a result of that shape.
_REGIONS = "Tensor input, Tensor rois, float spatial_scale, SymInt pooled_height, SymInt pooled_width"
_SHAPES: dict[str, tuple[str, Callable[..., Any]]] = {
    "roi_align": (f"({_REGIONS}, int sampling_ratio, bool aligned) -> Tensor", _pooled),
    "roi_pool": (f"({_REGIONS}) -> (Tensor, Tensor)", _with_indices),
    "ps_roi_align": (f"({_REGIONS}, int sampling_ratio) -> (Tensor, Tensor)", _with_indices),
    "ps_roi_pool": (f"({_REGIONS}) -> (Tensor, Tensor)", _with_indices),
    "deform_conv2d": (
        "(Tensor input, Tensor weight, Tensor offset, Tensor mask, Tensor bias, SymInt stride_h, SymInt stride_w, "
        "SymInt pad_h, SymInt pad_w, SymInt dilation_h, SymInt dilation_w, SymInt groups, SymInt offset_groups, "
        "bool use_mask) -> Tensor",
        _convolved,
    ),
}


def _define() -> None:
    """The operators that torchvision must find in order to import, and those of `_SHAPES`."""
    library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")  # type: ignore[no-untyped-call]
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")  # type: ignore[no-untyped-call]
    library.impl("nms", suppress, "CPU")  # type: ignore[no-untyped-call]
    for name, (schema, shaped) in _SHAPES.items():
        library.define(f"{name}{schema}")  # type: ignore[no-untyped-call]
        library.impl(name, shaped, "Meta")  # type: ignore[no-untyped-call]
    library.impl("roi_align", lambda *given: _regions()._roi_align(*given), "CPU")  # type: ignore[no-untyped-call]
    _kept.append(library)


def suppress(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """Indices (int64), best first, of the boxes that no better one overlaps by more than `iou_threshold`.

    `boxes` is (N, 4), two corners; `scores` is (N,).
    """
    order = scores.sort(descending=True, stable=True).indices
    alike = order.new_zeros(len(order)).numpy()
    return order[[*survivors(boxes[order].numpy(), alike, iou_threshold)]]


def pool_regions(features: Tensor, regions: Tensor, scale: float, height: int, width: int, samples: int) -> Tensor:
    """RoIAlign, `aligned=False`: (K, C, height, width), each the mean of samples x samples bilinear samples.

    `features` is (B, C, H, W); `regions` is (K, 5): image, then two corners that `scale` maps into the features.
    """
    pooled = features.new_empty(len(regions), features.shape[1], height, width)
    last = regions.new_tensor([features.shape[3] - 1, features.shape[2] - 1])
    starts, ends = (regions[:, 1:] * scale).split(2, 1)  # type: ignore[no-untyped-call]
    sides = (ends - starts).clamp(min=1)
    for image in range(len(features)):
        mine = regions[:, 0] == image
        if not mine.any():
            continue
        x, y = (
            starts[mine, axis, None] + sides[mine, axis, None] * (torch.arange(n).to(regions) + 0.5) / n
            for axis, n in enumerate((width * samples, height * samples))
        )
        pairs = torch.broadcast_tensors(x[:, None, :], y[:, :, None])  # type: ignore[no-untyped-call]
        grid = torch.stack(pairs, dim=-1)  # (k, rows, columns, 2)
        inside = ((grid >= -1) & (grid <= last + 1)).all(-1)  # or more than a cell away: torchvision takes zero there
        grid = grid.clamp(min=0).minimum(last) * 2 / last.clamp(min=1) - 1  # the corners of the map are at -1 and 1
        sampled = functional.grid_sample(features[image, None], grid.flatten(0, 1)[None], align_corners=True)
        sampled *= inside.flatten(0, 1)
        pooled[mine] = functional.avg_pool2d(sampled, samples)[0].unflatten(1, (-1, height)).transpose(0, 1)  # type: ignore[no-untyped-call]
    return pooled
