"""XLA's CPU backend computes one number twice, rounded differently: bilinear resizing takes a neighbour's value."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from conformance.cases.outcome import Status
from conformance.defects.defect import Defect, MinimalCase
from conformance.defects.resizing import images, interpolate, resizing

if TYPE_CHECKING:
    from torch.fx import Node


def has_whole_coordinates(node: Node) -> bool:
    """Whether a node that resizes bilinearly takes a pixel from just where one is, by a ratio that has to be
    rounded."""
    found = resizing(node)
    if found is None or found.mode != "bilinear" or found.align_corners:
        return False
    return any(_on_a_pixel(before, after) for before, after in zip(found.before, found.after, strict=True))


def _on_a_pixel(before: int, after: int) -> bool:
    ratio = Fraction(before, after)
    exact = ratio.denominator & (ratio.denominator - 1) == 0
    half = Fraction(1, 2)
    return not exact and any(((place + half) * ratio - half).denominator == 1 for place in range(after))


XLA_RESIZE = Defect(
    id="xla-cpu-resize",
    title="bilinear resizing by 3 takes some values from the pixel next to the right one",
    known=(
        "torch-xla gathers pixels from ceil((i + 0.5) * ratio - 1.5) on and weighs them by how far off they are. "
        "XLA's CPU backend computes that number once for the gathering and once for the weights, and in one of them "
        "multiplies and subtracts in one step, with one rounding less. Where the exact number is whole, the two may "
        "differ by 1. Ratios that have to be rounded, as 1/3, are hit: F.interpolate of 4 "
        "columns to 12. It is seen on processors with fused multiply-add, and says nothing about a NeuronCore."
    ),
    evidence="found by the property tests with torch-xla 2.9.0 (CPU); the HLO of one program was read",
    links=("https://github.com/pytorch/xla/blob/v2.9.0/torch_xla/csrc/resize_ops.cpp",),
    packages={"xla-cpu": "==2.9.*"},
    trigger=has_whole_coordinates,
    workarounds=(),
    minimal_cases=(
        MinimalCase(
            name="times-three",
            title="bilinear, 1 x 4 to 1 x 12",
            build=lambda: interpolate(size=(1, 12), mode="bilinear"),
            inputs=images(2, 1, 1, 4),
            batch=2,
            status=Status.WRONG,
            wrong_images=(0, 1),
            workarounds=(),
        ),
    ),
)
