"""F.grid_sample as gathers: the pixels around each place, by how near they are."""

from __future__ import annotations

from itertools import product
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from conformance.programs.rewrites.mode import Rewrites, fixed, sizes_of
from conformance.programs.rewrites.products import in_single

_MODES, _PADDINGS = ("bilinear", "nearest"), ("zeros", "border", "reflection")


def grid_sample(
    x: Tensor,
    grid: Tensor,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> Any:
    """`functional.grid_sample` of images and volumes, bilinear or nearest, with every padding; not bicubic."""
    sizes, places_of = sizes_of(x), sizes_of(grid)
    spatial = fixed(sizes[2:])
    if spatial is None or x.dim() != grid.dim() or x.dim() not in (4, 5) or sizes[0] != places_of[0]:
        return NotImplemented
    if grid.dtype != x.dtype or mode not in _MODES or padding_mode not in _PADDINGS or places_of[-1] != len(spatial):
        return NotImplemented
    coordinates = grid.float() if grid.dtype in (torch.float16, torch.bfloat16) else grid
    places = [
        _place(one, size, padding_mode, bool(align_corners)).flatten(1)
        for one, size in zip(reversed(coordinates.unbind(-1)), spatial, strict=True)  # x is the last dimension
    ]
    sampled = in_single(x, lambda wide: _sampled(wide.flatten(2), places, spatial, mode == "nearest"))
    return torch.unflatten(sampled, 2, places_of[1:-1])


def grid_sampler(x: Tensor, grid: Tensor, interpolation_mode: int, padding_mode: int, align_corners: bool) -> Any:
    """`torch.grid_sampler`, which is the same by numbers."""
    if interpolation_mode >= len(_MODES):
        return NotImplemented
    return grid_sample(x, grid, _MODES[interpolation_mode], _PADDINGS[padding_mode], align_corners)


def _place(grid: Tensor, size: int, padding: str, corners: bool) -> Tensor:
    """Which row a coordinate from -1 to 1 means, in fractions of one; within the image unless zeros are around it."""
    place = (grid + 1) / 2 * (size - 1) if corners else ((grid + 1) * size - 1) / 2
    if padding == "reflection":
        place = _reflected(place, 0 if corners else -0.5, size - 1 if corners else size)
    return place if padding == "zeros" else place.clamp(0, size - 1)


def _reflected(place: Tensor, low: float, span: float) -> Tensor:
    """A place that is folded back at both borders, `low` and `span` further."""
    if span == 0:
        return torch.zeros_like(place)
    distance = (place - low).abs()
    flips = (distance / span).floor()
    beyond = distance - flips * span
    odd = flips - 2 * (flips / 2).floor()
    return torch.where(odd > 0, span - beyond, beyond) + low


def _sampled(flat: Tensor, places: list[Tensor], spatial: tuple[int, ...], nearest: bool) -> Tensor:
    """(B, C, pixels) at (B, P) places: (B, C, P)."""
    if nearest:
        return _taken(flat, [place.round() for place in places], spatial)
    below = [place.floor() for place in places]
    total: Tensor | None = None
    for corner in product((0, 1), repeat=len(places)):
        part = _taken(flat, [one + up for one, up in zip(below, corner, strict=True)], spatial)
        for place, one, up in zip(places, below, corner, strict=True):
            part = part * ((place - one) if up else (1 - (place - one))).unsqueeze(1)
        total = part if total is None else total + part
    assert total is not None
    return total


def _taken(flat: Tensor, rows: list[Tensor], spatial: tuple[int, ...]) -> Tensor:
    """The pixels at whole places, and zero outside the image."""
    index: Tensor | None = None
    inside: Tensor | None = None
    for row, size in zip(rows, spatial, strict=True):
        place, within = row.clamp(0, size - 1).long(), (row >= 0) & (row <= size - 1)
        index = place if index is None else index * size + place
        inside = within if inside is None else inside & within
    assert index is not None
    assert inside is not None
    taken = flat.gather(2, index.unsqueeze(1).expand(-1, sizes_of(flat)[1], -1))
    return torch.where(inside.unsqueeze(1), taken, torch.zeros_like(taken))


REWRITES: Rewrites = {functional.grid_sample: grid_sample, torch.grid_sampler: grid_sampler}
