"""neuronx-cc runs out of on-chip memory: YOLO26 m, l and x do not compile in float32 at 640 px."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.cases.outcome import Stage, Status
from conformance.core.deferred import nn, torch
from conformance.defects.defect import Defect, Evidence, MinimalCase
from conformance.graphs.fx_match import images, layer, operator

if TYPE_CHECKING:
    from torch.fx import Node

SBUF_BYTES = 24 * 2**20  # of a NeuronCore-v2 and of a v3


def outgrows_sbuf(node: Node) -> bool:
    """Whether the node is a convolution whose result for one image, in float32, is larger than SBUF.

    No report gives the mechanism. This is the simplest rule that has m, l and x on one side and n and s, or
    bfloat16, on the other: the first convolution gives 26 MB in m at 640 px, and 13 MB in s.
    """
    if not operator(node).startswith("conv"):
        return False
    value = node.meta["val"]
    image = value[:1].numel() * value.element_size()
    return bool(value.dtype == torch.float32 and image > SBUF_BYTES)


def _convolution() -> nn.Module:
    return nn.Conv2d(3, 64, 3, stride=2, padding=1)


SBUF = Defect(
    id="sbuf-overflow",
    title="float32 activations outgrow SBUF (NCC_IGCA030)",
    known=(
        "neuronx-cc fails to allocate on-chip memory for YOLO26 m, l and x in float32 at 640 px, and compiles them "
        "in bfloat16; n and s compile in float32. Reported for SDK 2.28 and 2.29 on inf2 and trn2. The reports give "
        "no mechanism: the suite expects it where a convolution's result for one image is larger than the 24 MiB of "
        "SBUF, which is a rule of our own that fits them. Cast the model to bfloat16, or take a smaller input. The "
        "same is reported of a VAE's tiles of more than 64 latent pixels (trn2, SDK 2.29) and of convolutions in "
        "one dimension at some lengths (SDK 2.27), which the rule does not know."
    ),
    evidence=Evidence.REPORT,
    seen="README of the published YOLO26 port; what triggers it is inferred",
    links=(
        "https://github.com/aws-neuron/neuronx-distributed-inference/pull/151",
        "https://github.com/aws-neuron/neuronx-distributed-inference/pull/116",
        "https://github.com/aws-neuron/neuronx-distributed-inference/pull/71",
    ),
    packages={"neuronx-cc": ">=2.23"},
    trigger=outgrows_sbuf,
    stage=Stage.COMPILE,
    error_code="NCC_IGCA030",
    workarounds=(),
    minimal_cases=(
        MinimalCase(
            name="first-convolution",
            title="the first convolution of YOLO26m at 640 px",
            build=lambda: layer(_convolution),
            inputs=images(1, 3, 640, 640),
            batch=1,
            status=Status.ERROR,
            signature="NCC_IGCA030",
            workarounds=(),
        ),
    ),
)
