"""OpenVINO gathers from the whole of what was sliced."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.cases.outcome import Stage, Status
from conformance.core.deferred import torch
from conformance.defects.defect import Defect, Evidence, MinimalCase
from conformance.graphs.fx_match import arguments, calls, images, operator

if TYPE_CHECKING:
    from torch import nn
    from torch.fx import Node


def gathers_from_the_first_columns(node: Node) -> bool:
    """Whether the node gathers along one dimension from the first columns along another."""
    if operator(node) != "gather":
        return False
    sliced: Node = node.args[0]  # type: ignore[assignment]
    pieces = operator(sliced) == "getitem" and sliced.args[1] == 0
    if pieces:
        sliced = sliced.args[0]  # type: ignore[assignment]
    name, given = operator(sliced), arguments(sliced)
    if pieces:
        first = name == "tensor_split"
    else:
        first = name in ("slice", "narrow") and given["start"] in (0, None) and given.get("step", 1) == 1
    rank = len(node.meta["val"].shape)
    if not first or given["dim"] % rank == arguments(node)["dim"] % rank:
        return False
    whole, part = given["self"].meta["val"].shape, node.args[0].meta["val"].shape  # type: ignore[union-attr]
    return bool(part[given["dim"]] < whole[given["dim"]])


def _gathered() -> nn.Module:
    return calls(
        lambda x, index: x[..., :2].gather(1, index.expand(len(x), 1, 2)), torch.ones(1, 1, 2, dtype=torch.int64)
    )


OPENVINO_GATHER = Defect(
    id="openvino-slice-gather",
    title="x[..., :n].gather(1, index) reads what was cut off, and beyond the tensor",
    known=(
        "OpenVINO leaves out a slice of the first columns in front of a gather. That is right where the columns are "
        "those along which is gathered, and wrong along any other dimension: with several threads it fails "
        "for the shapes when it is run, with one it gives numbers of other rows, of memory that is none of its own, "
        "or an output of other sizes. Use take_along_dim, or split in the place of slices."
    ),
    evidence=Evidence.REPRODUCED,
    seen=(
        "found by the property tests with OpenVINO 2026.4.1; seen with 2025.1 to 2026.4.1; it is "
        "EliminateSliceBeforeGatherElements that does it; not found in public trackers (searched 2026-11)"
    ),
    links=(
        "https://github.com/openvinotoolkit/openvino/blob/master/src/common/transformations/src/transformations/common_optimizations/nop_elimination.cpp",
    ),
    packages={"openvino": ">=2025.1"},
    trigger=gathers_from_the_first_columns,
    stage=Stage.COMPARE,
    workarounds=(),
    minimal_cases=(
        MinimalCase(
            name="first-columns",
            title="2 of 4 columns, of each the second row",
            build=_gathered,
            inputs=images(2, 3, 4),
            batch=2,
            status=Status.WRONG,
            wrong_images=(0, 1),
            or_error="RuntimeError",
            workarounds=(),
        ),
    ),
)
