"""XLA's CPU compiler dies of some transposed convolutions of an image of one row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.cases.outcome import Stage, Status
from conformance.core.deferred import nn
from conformance.defects.defect import Defect, Evidence, MinimalCase
from conformance.graphs.fx_match import arguments, images, layer, operator

if TYPE_CHECKING:
    from torch.fx import Node


def doubles_one_axis(node: Node) -> bool:
    """Whether the node is a transposed convolution whose kernel has along one axis a size of 2, a stride of 2 and a
    padding of 1, and more than one row along the other: all that die are so, and few that are so die."""
    if operator(node) != "conv_transpose2d":
        return False
    given = arguments(node)
    kernel = given["weight"].meta["val"].shape[2:]
    along = list(zip(kernel, *(given[name] for name in ("stride", "padding", "dilation")), strict=False))
    return len(along) == 2 and any(
        other[0] > 1 and doubled == (2, 2, 1, 1) for other, doubled in (along, along[::-1])
    )


def _transposed() -> nn.Module:
    return nn.ConvTranspose2d(2, 2, (3, 2), stride=(1, 2), padding=1)


XLA_TRANSPOSED = Defect(
    id="xla-cpu-transposed-one-row",
    title="XLA's CPU compiler dies of a transposed convolution of one row",
    known=(
        "'Window dimensions do not match RHS shape', from the algebraic simplifier, ends the process. That is of the "
        "CPU that stands in for the device; nothing is known of neuronx-cc. Take another padding, or more rows."
    ),
    evidence=Evidence.REPRODUCED,
    seen=(
        "found by the property tests with torch-xla 2.9.0 (CPU); of 320 sizes that were tried 8 die, all so, most of "
        "one row; not found in public trackers (searched 2026-11)"
    ),
    links=("https://github.com/openxla/xla/blob/main/xla/hlo/transforms/simplifiers/algebraic_simplifier.cc",),
    packages={"xla-cpu": ">=2.9"},
    trigger=doubles_one_axis,
    stage=Stage.COMPILE,
    workarounds=(),
    minimal_cases=(
        MinimalCase(
            name="one-row",
            title="1 x 3 by 3 x 2, stride 1 x 2, padding 1",
            build=lambda: layer(_transposed),
            inputs=images(2, 2, 1, 3),
            batch=2,
            status=Status.CRASH,
            signature="SIGABRT",
            workarounds=(),
        ),
    ),
)
