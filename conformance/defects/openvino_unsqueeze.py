"""OpenVINO drops a dimension that was just added when its only place is selected, once or several times."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.cases.outcome import Stage, Status
from conformance.core.deferred import torch
from conformance.defects.dataflow import depends_on_input
from conformance.defects.defect import Defect, Evidence, MinimalCase
from conformance.graphs.fx_match import arguments, calls, images, operator

if TYPE_CHECKING:
    from torch import nn
    from torch.fx import Node


def selects_all_of_a_new_dimension(node: Node) -> bool:
    """Whether the node selects by a constant index along a dimension that an unsqueeze has added, counted from the
    front, and nobody else reads what that gives."""
    if operator(node) != "index_select":
        return False
    given = arguments(node)
    before, dim = given["self"], given["dim"]
    rank = len(node.meta["val"].shape)
    return (
        operator(before) == "unsqueeze"
        and len(before.users) == 1
        and before.args[1] == dim % rank
        and not depends_on_input(given["index"])
    )


def _selection() -> nn.Module:
    return calls(lambda x, index: x.unsqueeze(1).index_select(1, index), torch.tensor([0]))


OPENVINO_UNSQUEEZE = Defect(
    id="openvino-unsqueeze-gather",
    title="x.unsqueeze(d).index_select(d, index) loses the dimension it has added",
    known=(
        "OpenVINO removes an Unsqueeze and the Gather behind it where that gathers place 0 of the new dimension. "
        "That is right for an index without dimensions, which takes the dimension away again, and wrong for a tensor"
        " of one or more, which leaves the dimension: the output has one less. It takes a constant index, and a "
        "dimension that the unsqueeze counts from the front: x.unsqueeze(-1) is right. Leave out the index_select, "
        "or add the dimension with reshape."
    ),
    evidence=Evidence.REPRODUCED,
    seen=(
        "found by the property tests with OpenVINO 2026.4.1; seen with 2025.1 to 2026.4.1; the transformation is "
        "EliminateUnsqueezeGather; not found in public trackers (searched 2026-11)"
    ),
    links=(
        "https://github.com/openvinotoolkit/openvino/blob/master/src/common/transformations/src/transformations/common_optimizations/eliminate_unsqueeze_gather.cpp",
    ),
    packages={"openvino": ">=2025.1"},
    trigger=selects_all_of_a_new_dimension,
    stage=Stage.COMPARE,
    workarounds=(),
    minimal_cases=(
        MinimalCase(
            name="unsqueeze-index-select",
            title="(2, 5) to (2, 1, 5), of whose new dimension the only place is selected",
            build=_selection,
            inputs=images(2, 5),
            batch=2,
            status=Status.MISMATCH,
            workarounds=(),
        ),
    ),
)
