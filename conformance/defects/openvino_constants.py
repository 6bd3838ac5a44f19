"""OpenVINO reads a bfloat16 constant that is not contiguous after its memory has been given back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.cases.outcome import Stage
from conformance.core.deferred import torch
from conformance.defects.defect import Defect, Evidence

if TYPE_CHECKING:
    from torch.fx import Node


def reads_strided_constant(node: Node) -> bool:
    """Whether the node reads a bfloat16 parameter or buffer that is not contiguous."""
    return any(
        given.op == "placeholder" and value.dtype == torch.bfloat16 and not value.is_contiguous()
        for given in node.all_input_nodes
        if isinstance(value := given.meta.get("val"), torch.Tensor)
    )


OPENVINO_CONSTANTS = Defect(
    id="openvino-strided-constants",
    title="bfloat16 constants that are not contiguous are garbage",
    known=(
        "OpenVINO's PyTorch front end makes a contiguous copy of a constant and, for bfloat16, keeps a view of that "
        "copy, which is freed before the model is compiled. What the program adds or multiplies is then whatever is "
        "in that memory: the anchors of YOLO26's head, which are a transposed buffer, give infinite boxes. As what "
        "is read is not determined, there is no minimal case: torch.rand(2100, 2).bfloat16().T as a buffer that is "
        "added to the input shows it. A view of a contiguous constant dangles too, as soon as the module is given "
        "back; this target keeps the module for as long as what was compiled of it."
    ),
    evidence=Evidence.REPRODUCED,
    seen=(
        "seen here with OpenVINO 2026.4.1: 3327 of 4200 values of such a buffer were wrong, none in float32; seen "
        "with 2025.1 to 2026.4.1; not found in public trackers (searched 2026-11)"
    ),
    links=(
        "https://github.com/openvinotoolkit/openvino/blob/master/src/bindings/python/src/openvino/frontend/pytorch/utils.py",
    ),
    packages={"openvino": ">=2025.1"},
    trigger=reads_strided_constant,
    stage=Stage.COMPARE,
    workarounds=("contiguous",),
    minimal_cases=(),
)
