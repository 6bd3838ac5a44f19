"""Adaptive pooling whose windows differ in size: means as products, maxima of rows that are picked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from conformance.programs.rewrites.coefficients import averaged, windows
from conformance.programs.rewrites.mode import Rewrite, Rewrites, constant, fixed, repeated, sizes_of
from conformance.programs.rewrites.products import in_single, multiplied
from conformance.programs.rewrites.resize import resized_axes

_Along = Callable[[Tensor, int, int, int], Tensor]  # takes a tensor, a dimension from the end, rows before and after


def _mean(x: Tensor, dim: int, before: int, after: int) -> Tensor:
    return in_single(x, lambda wide: multiplied(wide, dim, averaged(before, after)))


def _largest(x: Tensor, dim: int, before: int, after: int) -> Tensor:
    """Windows are made equally long by taking their last row again."""
    rows = windows(before, after)
    longest = max(map(len, rows))
    places = [min(one.start + i, one.stop - 1) for one in rows for i in range(longest)]
    taken = x.index_select(dim, constant(places).to(x.device))
    dim %= x.dim()
    return torch.unflatten(taken, dim, (after, longest)).amax(dim + 1)


def adaptive_pool(dimensions: int, pool_along: _Along, evenly: bool = False) -> Rewrite:
    """Of rows, images or volumes. Windows of one size are left alone, unless they are pooled `evenly`, too."""

    def pool(x: Tensor, output_size: Any, return_indices: bool = False) -> Any:
        sizes = fixed(sizes_of(x)[-dimensions:])
        if not sizes or x.dim() <= dimensions or return_indices or not x.is_floating_point():
            return NotImplemented
        given = repeated(output_size, dimensions)
        wanted = [size if one is None else one for one, size in zip(given, sizes, strict=True)]
        if fixed(wanted) is None or min(wanted) < 1:
            return NotImplemented
        axes = list(zip(range(-dimensions, 0), sizes, wanted, strict=True))
        if not evenly and all(before % after == 0 for _, before, after in axes):
            return NotImplemented
        for dim, before, after in axes:
            x = pool_along(x, dim, before, after) if before != after else x
        return x

    return pool


def area(
    x: Tensor,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Any:
    """`functional.interpolate` with mode="area", which is adaptive pooling."""
    axes = resized_axes(x, size, scale_factor, bool(recompute_scale_factor)) if mode == "area" else None
    if axes is None or antialias or len(axes) > 3:
        return NotImplemented
    return adaptive_pool(len(axes), _mean)(x, [axis.after for axis in axes])


REWRITES: Rewrites = {
    functional.interpolate: area,
    functional.adaptive_avg_pool1d: adaptive_pool(1, _mean),
    functional.adaptive_avg_pool2d: adaptive_pool(2, _mean),
    functional.adaptive_avg_pool3d: adaptive_pool(3, _mean),
    functional.adaptive_max_pool1d: adaptive_pool(1, _largest),
    functional.adaptive_max_pool2d: adaptive_pool(2, _largest),
    functional.adaptive_max_pool3d: adaptive_pool(3, _largest, evenly=True),
}
