"""OpenVINO's conversion of other floats to bfloat16 on the CPU does not round to nearest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.cases.outcome import Stage
from conformance.core.deferred import torch
from conformance.defects.defect import Defect, Evidence

if TYPE_CHECKING:
    from torch.fx import Node


def rounds_to_bfloat16(node: Node) -> bool:
    """Whether the node converts a number with more bits to bfloat16."""
    value = node.meta.get("val")
    given = [other.meta.get("val") for other in node.all_input_nodes]
    return (
        isinstance(value, torch.Tensor)
        and value.dtype == torch.bfloat16
        and any(
            isinstance(x, torch.Tensor) and x.dtype in (torch.float16, torch.float32, torch.float64) for x in given
        )
    )


OPENVINO_ROUNDING = Defect(
    id="openvino-bf16-rounding",
    title="conversion to bfloat16 is rounded towards zero half of the times it should be rounded up",
    known=(
        "A conversion in the program, x.bfloat16(), rounds up only where the last bit that stays is odd, so that "
        "every second number above the middle is cut off: the largest error is a whole unit in the last place, not "
        "half of one, and errors do not cancel. Seen for torch.randn(1, 4096).bfloat16().float(); what OpenVINO "
        "rounds on its own, for INFERENCE_PRECISION_HINT bf16, is rounded well. It may depend on the processor, so "
        "there is no strict minimal case."
    ),
    evidence=Evidence.REPRODUCED,
    seen=(
        "seen here with OpenVINO 2025.1 to 2026.4.1 on an AMD EPYC that has AVX512_BF16: 25 % of the values differ; "
        "not found in public trackers (searched 2026-11)"
    ),
    links=("https://github.com/openvinotoolkit/openvino/tree/master/src/plugins/intel_cpu",),
    packages={"openvino": ">=2025.1"},
    trigger=rounds_to_bfloat16,
    stage=Stage.COMPARE,
    workarounds=(),
    minimal_cases=(),
)
