"""F.interpolate as products with constant matrices or, of the nearest pixels, as rows that are picked."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.nn import functional

from conformance.programs.rewrites import coefficients
from conformance.programs.rewrites.mode import Rewrites, fixed, repeated, sizes_of
from conformance.programs.rewrites.products import in_single, multiplied, picked

_ANY = (1, 2, 3)
_DIMENSIONS = {
    "nearest": _ANY,
    "nearest-exact": _ANY,
    "linear": (1,),
    "bilinear": (2,),
    "trilinear": (3,),
    "bicubic": (2,),
}


@dataclass(frozen=True)
class Axis:
    """Rows before and after, counted from the end; `factor` is what was given instead of a size."""

    dim: int
    before: int
    after: int
    factor: float | None


def interpolate(
    x: Tensor,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Any:
    """`functional.interpolate` in all its modes but "area"; of whole numbers, the nearest pixels alone."""
    axes = resized_axes(x, size, scale_factor, bool(recompute_scale_factor))
    if axes is None or len(axes) not in _DIMENSIONS.get(mode, ()):
        return NotImplemented
    if mode in ("nearest", "nearest-exact"):
        return _nearest(x, axes, exact=mode == "nearest-exact")
    if not x.is_floating_point() or (antialias and mode not in ("bilinear", "bicubic")):
        return NotImplemented

    def resized(wide: Tensor) -> Tensor:
        for axis in axes:
            if _moves(axis, mode, antialias):
                wide = _multiplied(wide, axis, mode, bool(align_corners), antialias)
        return wide

    return in_single(x, resized)


def resized_axes(x: Tensor, size: Any, scale_factor: Any, recompute: bool) -> list[Axis] | None:
    """The dimensions behind batch and channels; None where the sizes are not fixed, or are none."""
    sizes = fixed(sizes_of(x)[2:])
    if not sizes or (size is None) == (scale_factor is None):
        return None
    count = len(sizes)
    given = repeated(scale_factor if size is None else size, count)
    if len(given) != count or (size is not None and fixed(given) is None):
        return None
    axes = []
    for dim, (before, one) in enumerate(zip(sizes, given, strict=True), -count):
        after = math.floor(float(before) * one) if size is None else one
        axes.append(Axis(dim, before, after, float(one) if size is None and not recompute else None))
    return axes if all(axis.after > 0 for axis in axes) else None


def _moves(axis: Axis, mode: str, antialias: bool) -> bool:
    """Whether a row is another one afterwards: of a factor that leaves their number as it is, PyTorch takes notice in
    some modes alone."""
    heeds = mode == "nearest-exact" or (mode == "bicubic" and not antialias)
    return axis.before != axis.after or (heeds and axis.factor not in (None, 1))


def _nearest(x: Tensor, axes: list[Axis], exact: bool) -> Tensor:
    single = str(x.dtype) != "torch.float64"
    for axis in axes:
        if _moves(axis, "nearest-exact" if exact else "nearest", antialias=False):
            rows = coefficients.nearest(axis.before, axis.after, axis.factor, exact, single)
            x = picked(x, axis.dim, axis.before, rows)
    return x


def _multiplied(x: Tensor, axis: Axis, mode: str, corners: bool, antialias: bool) -> Tensor:
    given = axis.before, axis.after, axis.factor, corners
    if antialias:
        return multiplied(x, axis.dim, coefficients.antialiased(*given, is_cubic=mode == "bicubic"))
    weigh = coefficients.cubic if mode == "bicubic" else coefficients.linear
    return multiplied(x, axis.dim, weigh(*given))


REWRITES: Rewrites = {functional.interpolate: interpolate}
