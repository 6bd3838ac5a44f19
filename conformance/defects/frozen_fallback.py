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


def _pooled_dilated(x: Tensor) -> Tensor:
    return functional.max_pool2d(x, 3, stride=1, padding=1, dilation=2)


def _pooled_unevenly(x: Tensor) -> Tensor:
    return functional.adaptive_avg_pool2d(x, 3)


def _written_by_mask(x: Tensor) -> Tensor:
    y = x.clone()
    y[y > 0.5] = 0.25
    return y


def _columns(x: Tensor) -> Tensor:
    return functional.unfold(x, 3, padding=1)


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
        "(conformance/operators/torch-xla-2.9.json). Write them in operators that are lowered, as the workarounds do "
        "for those of a fixed size, or keep them out of the traced part."
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
    workarounds=("resize", "grid_sample", "max_pool", "adaptive_pool", "channel_shuffle", "unfold", "mask"),
    minimal_cases=tuple(
        MinimalCase(
            name=name,
            title=title,
            build=build,
            inputs=images(*shape),
            batch=2,
            status=Status.WRONG,
            wrong_images=(0, 1),
            workarounds=(workaround,),
        )
        for name, title, build, shape, workaround in (
            ("row-times-300", "4 values times 300", lambda: interpolate(scale_factor=300), (2, 3, 4), "resize"),
            (
                "bicubic",
                "4 x 4 times 2",
                lambda: interpolate(scale_factor=2, mode="bicubic"),
                (2, 3, 4, 4),
                "resize",
            ),
            (
                "grid-sample",
                "4 x 4 at places that it says itself",
                lambda: calls(_sampled),
                (2, 3, 4, 4),
                "grid_sample",
            ),
            ("channel-shuffle", "4 channels in 2 groups", lambda: calls(_shuffled), (2, 4, 4, 4), "channel_shuffle"),
            ("dilated-pool", "3 x 3, dilation 2", lambda: calls(_pooled_dilated), (2, 3, 6, 6), "max_pool"),
            ("uneven-pool", "4 x 4 to 3 x 3", lambda: calls(_pooled_unevenly), (2, 3, 4, 4), "adaptive_pool"),
            ("columns", "windows of 3 x 3 as columns", lambda: calls(_columns), (2, 3, 4, 4), "unfold"),
            ("written-by-mask", "where it is above one half", lambda: calls(_written_by_mask), (2, 3, 4, 4), "mask"),
        )
    ),
)
