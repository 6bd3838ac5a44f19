"""torch_neuronx.trace computes once what torch-xla leaves to the CPU; the program has the answer for a constant."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from conformance.cases.outcome import Stage, Status
from conformance.core.deferred import functional
from conformance.defects.cpu_fallback import frozen
from conformance.defects.defect import Defect, EmulatedFault, Evidence, MinimalCase
from conformance.defects.resizing import interpolate
from conformance.graphs.fx_match import calls, images

if TYPE_CHECKING:
    from torch import Tensor


def _sampled(x: Tensor) -> Tensor:
    return functional.grid_sample(x, x[:, :2].permute(0, 2, 3, 1), align_corners=False)


def _shuffled(x: Tensor) -> Tensor:
    return functional.channel_shuffle(x, 2)


FROZEN_FALLBACK = Defect(
    id="frozen-fallback",
    title="an operator without a lowering gives the example's answer for every input",
    known=(
        "What torch-xla has no lowering for it computes on the CPU while the model is traced, from the example "
        "inputs, and the program holds the result as a constant: right for the inputs it was traced with, so that "
        "a check with these sees nothing, and for no other. So it is with whatever leaves the program for Python: "
        "item, tolist, cpu, `if x.max() > 1`, x[mask], nonzero, unique; with bicubic, 1-d, exact-nearest and "
        "antialiased resizing, grid_sample, channel_shuffle, F.unfold and fold, dilated and unevenly adaptive "
        "pooling, torchvision's nms, roi_align and deform_conv2d, and some hundred more "
        "(conformance/operators/torch-xla-2.9.json). Write them in operators that are lowered, or keep them out of "
        "the traced part."
    ),
    evidence=Evidence.REPRODUCED,
    seen=(
        "torch-xla 2.9.0 (CPU), where it is traced in the steps of torch_neuronx.trace: of 398 calls that were "
        "measured each that has such an operator; README of a ported speech model, trn2 and inf2, SDK 2.27: rows "
        "times 300"
    ),
    links=(
        "https://github.com/aws-neuron/neuronx-distributed-inference/pull/71",
        "https://github.com/aws-neuron/aws-neuron-sdk/issues/253",
        "https://github.com/aws-neuron/aws-neuron-sdk/issues/717",
        "https://github.com/aws-neuron/aws-neuron-sdk/issues/1265",
    ),
    packages={"torch-xla": ">=2.9"},
    trigger=frozen,
    triggers_with={"functionalization": partial(frozen, functionalization=True)},
    stage=Stage.COMPARE,
    fault=EmulatedFault.FROZEN,
    workarounds=(),
    minimal_cases=tuple(
        MinimalCase(
            name=name,
            title=title,
            build=build,
            inputs=inputs,
            batch=2,
            status=Status.WRONG,
            wrong_images=(0, 1),
            workarounds=(),
        )
        for name, title, build, inputs in (
            ("row-times-300", "4 values times 300", lambda: interpolate(scale_factor=300), images(2, 3, 4)),
            ("bicubic", "4 x 4 times 2", lambda: interpolate(scale_factor=2, mode="bicubic"), images(2, 3, 4, 4)),
            ("grid-sample", "4 x 4 at places that it says itself", lambda: calls(_sampled), images(2, 3, 4, 4)),
            ("channel-shuffle", "4 channels in 2 groups", lambda: calls(_shuffled), images(2, 4, 4, 4)),
        )
    ),
)
