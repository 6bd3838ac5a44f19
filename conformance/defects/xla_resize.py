"""XLA's CPU backend computes where a pixel comes from once too often in float32, and too coarsely in bfloat16."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.cases.outcome import Stage, Status
from conformance.core.deferred import functional, torch
from conformance.defects.defect import Defect, Evidence, MinimalCase
from conformance.defects.resizing import Resizing, interpolate, resizing
from conformance.graphs.fx_match import images

if TYPE_CHECKING:
    from torch import Tensor, dtype
    from torch.fx import Node

_UNROLLED = 10  # pixels up to which the loop is unrolled, and both numbers are computed alike
_VISIBLE = 6 * 2**-9  # relative: six times what rounding to bfloat16 does


def has_whole_coordinates(node: Node) -> bool:
    """Whether a node resizes bilinearly, and rounding once or twice makes another pixel the first of a window."""
    found = resizing(node)
    if found is None or found.mode != "bilinear" or node.meta["val"].dtype != torch.float32:
        return False
    pixels = node.meta["val"].shape[-2:].numel()
    return pixels > _UNROLLED and any(_starts_differ(found, axis) for axis in (0, 1))


def has_coarse_coordinates(node: Node) -> bool:
    """Whether a node resizes bfloat16, and its coordinates, which are bfloat16 too, lead to other values."""
    found = resizing(node)
    if found is None or found.mode == "bicubic" or node.meta["val"].dtype != torch.bfloat16:
        return False
    unchanged = found.before in (found.after, (1, 1))
    return not unchanged and any(_coarse(found, axis) for axis in (0, 1))


def _first(found: Resizing, axis: int, kind: dtype) -> tuple[Tensor, Tensor]:
    """The coordinate of each new row or column, and how far before it its window begins."""
    before, after = found.before[axis], found.after[axis]
    corners = found.align_corners and after > 1
    sizes = torch.tensor([before - 1, after - 1] if corners else [before, after], dtype=torch.float32)
    half = found.mode == "bilinear" and not found.align_corners
    positions = torch.arange(after).to(kind) + (0.5 if half else 0)
    return positions, (sizes[0] / sizes[1]).to(kind)


def _starts_differ(found: Resizing, axis: int) -> bool:
    """Whether ceil(position * ratio - 1.5), or - 1 with aligned corners, is another number with one rounding less."""
    positions, ratio = _first(found, axis, torch.float32)
    offset = 1 if found.align_corners else 1.5
    twice = (positions * ratio - offset).ceil()
    once = (positions.double() * ratio.double() - offset).float().ceil()
    last = max(found.before[axis] - 3, 0)
    return not torch.equal(twice.clamp(0, last), once.clamp(0, last))


def _coarse(found: Resizing, axis: int) -> bool:
    """Whether a row of noise that is resized so is visibly another."""
    before, after = found.before[axis], found.after[axis]
    row = torch.rand(before, generator=torch.Generator().manual_seed(0)).bfloat16().double()
    corners = {"align_corners": found.align_corners} if found.mode == "bilinear" else {}
    right = functional.interpolate(row[None, None, None], size=(1, after), mode=found.mode, **corners).flatten()
    positions, weights = _window(found, axis)
    error = ((row[positions] * weights).sum(1) - right).norm() / right.norm()
    return not bool(error < _VISIBLE)


def _window(found: Resizing, axis: int) -> tuple[Tensor, Tensor]:
    """The positions that each new row or column is made of in bfloat16, and their weights."""
    before, bilinear = found.before[axis], found.mode == "bilinear"
    size = min(3, before) if bilinear else 1
    positions, ratio = _first(found, axis, torch.bfloat16)
    half = 0.5 if bilinear and not found.align_corners else 0
    coordinates = positions * ratio
    start = (coordinates - 1 - half).ceil() if bilinear else coordinates.floor()
    start = start.clamp(0, before - size)
    distance = (start - coordinates)[:, None] + torch.arange(size).bfloat16() + half
    weights = (1 - distance.abs()).clamp(min=0) if bilinear else torch.ones_like(distance)
    first = start.long().clamp(max=before - size)
    return first[:, None] + torch.arange(size), (weights / weights.sum(1, keepdim=True)).double()


_SOURCE = "https://github.com/pytorch/xla/blob/v2.9.0/torch_xla/csrc/resize_ops.cpp"

XLA_RESIZE = Defect(
    id="xla-cpu-resize",
    title="bilinear resizing by 3 takes some values from the pixel next to the right one",
    known=(
        "torch-xla gathers pixels from ceil((i + 0.5) * ratio - 1.5) on and weighs them by how far off they are. "
        "XLA's CPU backend computes that number once for the gathering and once for the weights, and in one of them "
        "multiplies and subtracts in one step, with one rounding less. Where that makes another whole number, the "
        "two differ by 1: F.interpolate of 4 columns to 12; with aligned corners 9 to 27. It is seen on processors "
        "with fused multiply-add, of 1600 sizes that were tried wherever the two roundings differ but for 2, and "
        "nowhere else. It says nothing about a NeuronCore, where resizing is a call of its own."
    ),
    evidence=Evidence.REPRODUCED,
    seen=(
        "found by the property tests with torch-xla 2.9.0 (CPU); the HLO of one program was read; not found in "
        "public trackers (searched 2026-11)"
    ),
    links=(_SOURCE,),
    packages={"xla-cpu": ">=2.9"},
    trigger=has_whole_coordinates,
    stage=Stage.COMPARE,
    workarounds=("resize",),
    minimal_cases=tuple(
        MinimalCase(
            name=name,
            title=f"bilinear, 1 x {columns} to 1 x {3 * columns}",
            build=lambda size=3 * columns, corners=corners: interpolate(  # type: ignore[misc]
                size=(1, size), mode="bilinear", align_corners=corners
            ),
            inputs=images(2, 1, 1, columns),
            batch=2,
            status=Status.WRONG,
            wrong_images=(0, 1),
            workarounds=("resize",),
        )
        for name, columns, corners in (("times-three", 4, False), ("aligned-corners", 9, True))
    ),
)

XLA_RESIZE_BFLOAT16 = Defect(
    id="xla-cpu-bfloat16-resize",
    title="resizing in bfloat16 takes other pixels, or gives NaN, beyond 128 rows or columns",
    known=(
        "torch-xla computes where a pixel comes from in the type of the image, and bfloat16 has 8 bits: i + 0.5 is "
        "rounded as of 128, and ratios such as 2/3 at once. 80 to 160 columns are 9 % off, nearest pixels as of 256 "
        "are others, and at 320 to 640 the weights of some are 0/0. 20 to 40 and 40 to 80 are right. Resize in "
        "float32: F.interpolate(x.float(), ...).bfloat16(). float16 is right up to 1024. It says nothing about a "
        "NeuronCore, where resizing is a call of its own."
    ),
    evidence=Evidence.REPRODUCED,
    seen="torch-xla 2.9.0 (CPU); the cast to float32 was taken out for pytorch/xla#7095",
    links=(_SOURCE, "https://github.com/pytorch/xla/issues/7095"),
    packages={"xla-cpu": ">=2.9"},
    dtypes=("bfloat16",),
    trigger=has_coarse_coordinates,
    stage=Stage.COMPARE,
    workarounds=("resize",),
    minimal_cases=tuple(
        MinimalCase(
            name=mode,
            title=f"{mode}, 1 x {columns} to 1 x {2 * columns}",
            build=lambda mode=mode, size=2 * columns: interpolate(size=(1, size), mode=mode),  # type: ignore[misc]
            inputs=images(2, 1, 1, columns),
            batch=2,
            status=Status.WRONG,
            wrong_images=(0, 1),
            workarounds=("resize",),
            dtype="bfloat16",
        )
        for mode, columns in (("bilinear", 80), ("nearest", 160))
    ),
)
