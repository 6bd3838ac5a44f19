"""XLA's CPU backend computes one number twice, rounded differently: bilinear resizing takes a neighbour's value."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from conformance.cases.outcome import Stage, Status
from conformance.defects.defect import Defect, Evidence, MinimalCase
from conformance.defects.resizing import interpolate, resizing
from conformance.defects.small import images

if TYPE_CHECKING:
    from torch.fx import Node


def has_whole_coordinates(node: Node) -> bool:
    """Whether a node that resizes bilinearly takes a pixel from just where one is, by a ratio that has to be
    rounded."""
    found = resizing(node)
    if found is None or found.mode != "bilinear":
        return False
    sizes = zip(found.before, found.after, strict=True)
    return any(_on_a_pixel(before, after, found.align_corners) for before, after in sizes)


def _on_a_pixel(before: int, after: int, align_corners: bool) -> bool:
    """Whether a row or column between the first and the last is just where one was, by a ratio that is rounded."""
    if align_corners:
        ratio, half = Fraction(before - 1, max(after - 1, 1)), Fraction(0)
    else:
        ratio, half = Fraction(before, after), Fraction(1, 2)
    exact = ratio.denominator & (ratio.denominator - 1) == 0
    return not exact and any(((place + half) * ratio - half).denominator == 1 for place in range(1, after - 1))


XLA_RESIZE = Defect(
    id="xla-cpu-resize",
    title="bilinear resizing by 3 takes some values from the pixel next to the right one",
    known=(
        "torch-xla gathers pixels from ceil((i + 0.5) * ratio - 1.5) on and weighs them by how far off they are. "
        "XLA's CPU backend computes that number once for the gathering and once for the weights, and in one of them "
        "multiplies and subtracts in one step, with one rounding less. Where the exact number is whole, the two may "
        "differ by 1. Ratios that have to be rounded, as 1/3, are hit: F.interpolate of 4 "
        "columns to 12; with aligned corners 9 to 27. It is seen on processors with fused multiply-add, and says "
        "nothing about a NeuronCore."
    ),
    evidence=Evidence.REPRODUCED,
    seen="found by the property tests with torch-xla 2.9.0 (CPU); the HLO of one program was read",
    links=("https://github.com/pytorch/xla/blob/v2.9.0/torch_xla/csrc/resize_ops.cpp",),
    packages={"xla-cpu": "==2.9.*"},
    trigger=has_whole_coordinates,
    stage=Stage.COMPARE,
    workarounds=(),
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
            workarounds=(),
        )
        for name, columns, corners in (("times-three", 4, False), ("aligned-corners", 9, True))
    ),
)
