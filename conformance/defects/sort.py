"""neuronx-cc refuses topk and sort: the end2end head of YOLO26 does not compile."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.cases.outcome import Stage, Status
from conformance.defects.defect import Defect, Evidence, MinimalCase

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.fx import Node


def sorts(node: Node) -> bool:
    """Whether the node is a topk or a sort."""
    name = str(getattr(node.target, "__name__", ""))
    return node.op == "call_function" and name.split(".")[0] in ("topk", "sort", "argsort")


def _module(operator: str) -> nn.Module:
    from torch import nn

    class Ranked(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.topk(5, dim=-1).values if operator == "topk" else x.sort(dim=-1).values

    return Ranked()


def _scores(index: int) -> tuple[Tensor, ...]:
    import torch

    return (torch.rand(1, 84, generator=torch.Generator().manual_seed(index)),)


SORT = Defect(
    id="sort-refused",
    title="topk and sort are refused (NCC_EVRF029)",
    known=(
        "neuronx-cc does not compile aten::topk and aten::sort as they come from the end2end head of YOLO26. "
        "Build the model with end2end=False before fuse() and rank the detections on the CPU, which takes about "
        "0.1 ms. Reported for SDK 2.28 and 2.29; other releases are not known either way, so they are not "
        "emulated as refusing."
    ),
    evidence=Evidence.REPORT,
    seen="README of the published YOLO26 port",
    links=("https://github.com/aws-neuron/neuronx-distributed-inference/pull/151",),
    packages={"neuronx-cc": ">=2.23,<2.25"},
    trigger=sorts,
    stage=Stage.COMPILE,
    refusal="NCC_EVRF029",
    workarounds=(),
    minimal_cases=tuple(
        MinimalCase(
            name=operator,
            title=f"one {operator} of 84 scores",
            build=lambda operator=operator: _module(operator),  # type: ignore[misc]
            inputs=_scores,
            batch=1,
            status=Status.ERROR,
            signature="NCC_EVRF029",
            workarounds=(),
        )
        for operator in ("topk", "sort")
    ),
)
