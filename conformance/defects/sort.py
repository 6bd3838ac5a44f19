"""neuronx-cc refuses topk and sort: the end2end head of YOLO26 does not compile."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.cases.outcome import Stage, Status
from conformance.defects.defect import Defect, Evidence, MinimalCase
from conformance.graphs.fx_match import calls, images, operator

if TYPE_CHECKING:
    from torch.fx import Node


def sorts(node: Node) -> bool:
    """Whether the node is a topk or a sort."""
    return operator(node) in ("topk", "sort", "argsort")


SORT = Defect(
    id="sort-refused",
    title="topk and sort are refused (NCC_EVRF029)",
    known=(
        "neuronx-cc does not compile aten::topk and aten::sort as they come from the end2end head of YOLO26. "
        "Build the model with end2end=False before fuse() and rank the detections on the CPU, which takes about "
        "0.1 ms. Reported for SDK 2.28 and 2.29; since 2.30 a sort is compiled as a topk of up to 16384 values: see "
        "`topk-large`."
    ),
    evidence=Evidence.REPORT,
    seen="README of the published YOLO26 port; aws-neuron-sdk#1339 of SDK 2.30 gets past it",
    links=("https://github.com/aws-neuron/neuronx-distributed-inference/pull/151",),
    packages={"neuronx-cc": ">=2.23,<2.25"},
    fixed_in="2.30.0",
    trigger=sorts,
    stage=Stage.COMPILE,
    error_code="NCC_EVRF029",
    workarounds=(),
    minimal_cases=tuple(
        MinimalCase(
            name=name,
            title=f"one {name} of 84 scores",
            build=lambda ranked=ranked: calls(ranked),  # type: ignore[misc]
            inputs=images(1, 84),
            batch=1,
            status=Status.ERROR,
            signature="NCC_EVRF029",
            workarounds=(),
        )
        for name, ranked in (
            ("topk", lambda x: x.topk(5, dim=-1).values),
            ("sort", lambda x: x.sort(dim=-1).values),
        )
    ),
)
