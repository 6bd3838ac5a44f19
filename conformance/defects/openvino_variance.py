"""OpenVINO takes variance and deviation without a correction for the biased ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.cases.outcome import Stage, Status
from conformance.defects.defect import Defect, Evidence, MinimalCase
from conformance.graphs.fx_match import arguments, calls, images, operator

if TYPE_CHECKING:
    from torch import nn
    from torch.fx import Node


def leaves_the_correction_open(node: Node) -> bool:
    """Whether it is a variance or a deviation of which the graph does not say what to divide by."""
    return operator(node) in ("var", "std", "var_mean") and arguments(node).get("correction", 0) is None


def _deviation() -> nn.Module:
    return calls(lambda x: x * x.std())


OPENVINO_VARIANCE = Defect(
    id="openvino-open-correction",
    title="x.std() and x.var() are divided by n instead of n - 1",
    known=(
        "Without a dimension torch.export writes aten.var.correction, aten.std.correction and "
        "aten.var_mean.correction, and leaves out the correction, which is 1 then. OpenVINO's front end takes 0: the "
        "variance of n values is too small by the factor (n - 1) / n. std_mean is right, and so are calls with a "
        "dimension. Write correction=1 or unbiased=True."
    ),
    evidence=Evidence.REPRODUCED,
    seen=(
        "found by conformance operators with OpenVINO 2026.4.1; not found in public trackers (searched 2026-12): "
        "openvino#36417 is about corrections other than 0 and 1, which are refused"
    ),
    links=(
        "https://github.com/openvinotoolkit/openvino/issues/36417",
        "https://github.com/openvinotoolkit/openvino/blob/master/src/frontends/pytorch/src/op/var_mean.cpp",
    ),
    packages={"openvino": ">=2026.4"},
    trigger=leaves_the_correction_open,
    stage=Stage.COMPARE,
    workarounds=(),
    minimal_cases=(
        MinimalCase(
            name="deviation",
            title="2 x 4, times the deviation of all 8 values",
            build=_deviation,
            inputs=images(2, 4),
            batch=2,
            status=Status.WRONG,
            workarounds=(),
            wrong_images=(0, 1),
        ),
    ),
)
