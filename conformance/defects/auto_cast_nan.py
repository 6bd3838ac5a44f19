"""neuronx-cc turns the convolutions of YOLO26 to NaN where it casts products to bfloat16."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.cases.outcome import Stage, Status
from conformance.core.deferred import nn, torch
from conformance.defects.defect import Defect, Evidence, MinimalCase
from conformance.graphs.fx_match import images, layer, operator

if TYPE_CHECKING:
    from torch import Tensor
    from torch.fx import Node


def is_a_block_of_yolo(node: Node) -> bool:
    """Whether the node is a convolution whose result goes into SiLU, by way of a batch norm or not."""
    if operator(node) != "conv2d":
        return False
    users = list(node.users)
    users += [user for norm in users if operator(norm) == "batch_norm" for user in norm.users]
    return any(operator(user).startswith("silu") for user in users)


def not_a_number(*arguments: Any) -> Tensor:
    """What a convolution gives then."""
    return torch.conv2d(*arguments) * float("nan")


def _block() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.SiLU())


AUTO_CAST_NAN = Defect(
    id="auto-cast-nan",
    title="--auto-cast=matmult makes all outputs of YOLO26 NaN",
    known=(
        "Reported for every variant of YOLO26, a network of convolutions, on trn2 and inf2 with SDK 2.28 and 2.29; "
        "by which operator is not said. The suite expects it of convolutions that go into SiLU, which is a rule of "
        "our own. Until SDK 2.26 matmult was what neuronx-cc did without a flag. Use --auto-cast=none. (The same "
        "is reported of the LoRA products in S3Diff's VAE and UNet, where --model-type=unet-inference helped.)"
    ),
    evidence=Evidence.REPORT,
    seen="README of the published YOLO26 port; what triggers it is inferred",
    links=(
        "https://github.com/aws-neuron/neuronx-distributed-inference/pull/151",
        "https://github.com/jimburtoft/neuronx-distributed-inference",
    ),
    packages={"neuronx-cc": ">=2.23"},
    dtypes=("matmult-bf16",),
    trigger=is_a_block_of_yolo,
    stage=Stage.COMPARE,
    fault=not_a_number,
    workarounds=(),
    minimal_cases=(
        MinimalCase(
            name="convolution-silu",
            title="a 3 x 3 convolution and SiLU",
            build=lambda: layer(_block),
            inputs=images(1, 3, 8, 8),
            batch=1,
            dtype="matmult-bf16",
            status=Status.NONFINITE,
            wrong_images=(0,),
            workarounds=(),
        ),
    ),
)
