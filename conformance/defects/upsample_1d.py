"""torch-neuronx traced the resizing of a row without its input."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.cases.outcome import Stage, Status
from conformance.defects.defect import Defect, Evidence, MinimalCase
from conformance.defects.small import arguments, calls, images, operator

if TYPE_CHECKING:
    from torch import Tensor
    from torch.fx import Node


def scales_a_row(node: Node) -> bool:
    """Whether the node resizes one dimension by a scale factor."""
    return operator(node) in ("upsample_linear1d", "upsample_nearest1d") and bool(arguments(node)["scale_factors"])


def without_the_input(x: Tensor, _size: Any, *rest: Any) -> Tensor:
    """What does not depend on the input: zeros, as the report does not say what comes out."""
    return x.new_zeros((*x.shape[:2], int(x.shape[2] * rest[-1][0])))


def _upsampled(x: Tensor) -> Tensor:
    from torch.nn import functional

    return functional.interpolate(x, scale_factor=300)


UPSAMPLE_1D = Defect(
    id="upsample-1d",
    title="F.interpolate(scale_factor=) of a row does not depend on its input",
    known=(
        "The trace of a speech model lost the input of F.interpolate with a scale factor of 300. Which factors and "
        "modes are hit is not said. Use repeat_interleave, or resize on the CPU."
    ),
    evidence=Evidence.REPORT,
    seen="README of a ported speech model, trn2 and inf2, SDK 2.27",
    links=("https://github.com/aws-neuron/neuronx-distributed-inference/pull/71",),
    packages={"neuronx-cc": "==2.22.*"},
    trigger=scales_a_row,
    stage=Stage.COMPARE,
    fault=without_the_input,
    workarounds=(),
    minimal_cases=(
        MinimalCase(
            name="times-300",
            title="4 values times 300",
            build=lambda: calls(_upsampled),
            inputs=images(2, 3, 4),
            batch=2,
            status=Status.WRONG,
            wrong_images=(0, 1),
            workarounds=(),
        ),
    ),
)
