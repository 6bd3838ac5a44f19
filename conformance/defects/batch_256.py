"""neuronx-cc died on convolutions of large batches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.cases.outcome import Stage, Status
from conformance.core.deferred import nn
from conformance.defects.defect import Defect, Evidence, MinimalCase
from conformance.graphs.fx_match import arguments, images, layer, operator

if TYPE_CHECKING:
    from torch.fx import Node


def convolves_a_large_batch(node: Node) -> bool:
    """Whether the node is a convolution of 256 images or more."""
    return operator(node) == "conv2d" and arguments(node)["input"].meta["val"].shape[0] >= 256


def _convolution() -> nn.Module:
    return nn.Conv2d(3, 4, 3)


BATCH_256 = Defect(
    id="batch-256",
    title="a batch of 256 images kills the compiler",
    known=(
        "A segmentation fault, reported for the image encoder of SAM and for a small convolutional network at 224 x "
        "224; 128 images compile. The issue is closed. Take smaller batches."
    ),
    evidence=Evidence.REPORT,
    seen="aws-neuron-sdk#751, of September 2023 and, inf2.xlarge, of a machine image of July 2024: SDK 2.14 to 2.19",
    links=("https://github.com/aws-neuron/aws-neuron-sdk/issues/751",),
    packages={"neuronx-cc": ">=2.10,<2.15"},
    history=True,
    trigger=convolves_a_large_batch,
    stage=Stage.COMPILE,
    error_code="SIGSEGV",
    workarounds=(),
    minimal_cases=(
        MinimalCase(
            name="batch-256",
            title="3 x 3 of 256 images",
            build=lambda: layer(_convolution),
            inputs=images(256, 3, 8, 8),
            batch=256,
            status=Status.CRASH,
            signature="SIGSEGV",
            workarounds=(),
        ),
    ),
)
