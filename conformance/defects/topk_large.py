"""neuronx-cc refuses a topk of more than 16384 values; a sort is one of all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.cases.outcome import Stage, Status
from conformance.defects.defect import Defect, Evidence, MinimalCase
from conformance.graphs.fx_match import arguments, calls, images, operator

if TYPE_CHECKING:
    from torch.fx import Node

LARGEST = 16384


def ranks_too_many(node: Node) -> bool:
    """Whether the node is a topk of more than that many values, or sorts so many."""
    if (name := operator(node)) not in ("topk", "sort", "argsort"):
        return False
    given = arguments(node)
    return bool((given["k"] if name == "topk" else given["self"].meta["val"].shape[given["dim"]]) > LARGEST)


TOPK_LARGE = Defect(
    id="topk-large",
    title="topk with k > 16384, and a sort of more values, are refused (NCC_EVRF014)",
    known=(
        "Since neuronx-cc compiles topk, a sort is rewritten to a topk of all values, of which it allows 16384; also "
        "where only the first three are then taken. The 8400 candidates of a YOLO at 640 px fit, 33600 at 1280 px do "
        "not, nor do 80 classes of 8400 in one row. Rank in parts, or on the CPU. A fix was promised after SDK 2.31."
    ),
    evidence=Evidence.TRANSCRIPT,
    seen="aws-neuron-sdk#1339: inf2, SDK 2.30 and 2.31, a sort of (64, 128256)",
    links=("https://github.com/aws-neuron/aws-neuron-sdk/issues/1339",),
    packages={"neuronx-cc": ">=2.25"},
    trigger=ranks_too_many,
    stage=Stage.COMPILE,
    error_code="NCC_EVRF014",
    workarounds=(),
    minimal_cases=(
        MinimalCase(
            name="sort-16400",
            title="a sort of 16400 values",
            build=lambda: calls(lambda x: x.sort(dim=-1).values[:, :3]),
            inputs=images(1, 16400),
            batch=1,
            status=Status.ERROR,
            signature="NCC_EVRF014",
            workarounds=(),
        ),
    ),
)
