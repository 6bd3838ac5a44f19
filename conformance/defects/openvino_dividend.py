"""OpenVINO divides by a constant where the constant was to be divided."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.cases.outcome import Stage, Status
from conformance.core.deferred import torch
from conformance.defects.dataflow import depends_on_input
from conformance.defects.defect import Defect, Evidence, MinimalCase
from conformance.graphs.fx_match import calls, images, operator

if TYPE_CHECKING:
    from torch import nn
    from torch.fx import Node

_CHANNELS_FIRST = (
    "conv1d", "conv2d", "conv3d", "conv_transpose2d", "sum", "mean", "amax", "amin", "prod", "norm",
    "linalg_vector_norm", "upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d", "upsample_bilinear2d",
    "upsample_bicubic2d", "adaptive_avg_pool1d", "adaptive_avg_pool2d",
)  # fmt: skip
_CHANNELS_LAST = ("linear", "matmul", "bmm", "einsum")
_BETWEEN = ("add", "mul", "sub", "relu", "sqrt", "abs", "sigmoid", "silu")


def divides_a_constant(node: Node) -> bool:
    """Whether the node divides a constant, one or one for each channel, by the result of an operator that OpenVINO
    computes together with what follows it."""
    if operator(node) != "div":
        return False
    constant, divisor = node.args[:2]
    value = getattr(constant, "meta", {}).get("val")
    if value is None or depends_on_input(constant) or not depends_on_input(divisor):  # type: ignore[arg-type]
        return False
    producer = _producer(divisor)  # type: ignore[arg-type]
    if producer is None:
        return False
    shape = (1,) * (len(node.meta["val"].shape) - value.dim()) + tuple(value.shape)
    channel = len(shape) - 1 if operator(producer) in _CHANNELS_LAST else 1
    if operator(producer) == "linear" and len(shape) > 3:
        return bool(value.numel() == 1)
    return all(size == 1 or axis == channel for axis, size in enumerate(shape))


def _producer(node: Node) -> Node | None:
    """The operator at the head of those that are computed together, each of whose results one other reads."""
    while len(node.users) == 1 and operator(node) in _BETWEEN:
        given = [other for other in node.all_input_nodes if depends_on_input(other)]
        if len(given) != 1:
            return None
        node = given[0]
    if len(node.users) != 1 or operator(node) not in (*_CHANNELS_FIRST, *_CHANNELS_LAST):
        return None
    pooled = operator(node).startswith("adaptive")  # to one value it is a mean
    return node if not pooled or node.meta["val"].shape[2:].numel() == 1 else None


def _quotient() -> nn.Module:
    return calls(lambda x, scale: scale / x.sum(2), torch.tensor(2.5))


OPENVINO_DIVIDEND = Defect(
    id="openvino-constant-dividend",
    title="a constant divided by a sum, a convolution or a product is the quotient the wrong way round",
    known=(
        "OpenVINO computes a division together with the operator before it, and takes the constant for the divisor: "
        "scale / x.sum(2) gives x.sum(2) / scale. It takes a tensor as the constant, one number or one for each "
        "channel, and a convolution, a matrix product, a sum, mean or extreme, a norm or resizing before, also with "
        "additions, multiplications, relu, sqrt, sigmoid or silu between. A number of Python, 2.5 / y, is right, and "
        "so is scale * y.reciprocal()."
    ),
    evidence=Evidence.REPRODUCED,
    seen=(
        "OpenVINO 2025.1 to 2026.4.1, while the trigger of openvino-reduce-channels was tried on its neighbours; "
        "not found in public trackers (searched 2026-11); coremltools#2776 is the same in another compiler"
    ),
    links=("https://github.com/openvinotoolkit/openvino/tree/master/src/plugins/intel_cpu/src/nodes",),
    packages={"openvino": ">=2025.1"},
    trigger=divides_a_constant,
    stage=Stage.COMPARE,
    workarounds=(),
    minimal_cases=(
        MinimalCase(
            name="scale-by-sum",
            title="2.5 / the sums of 4 values",
            build=_quotient,
            inputs=images(2, 3, 4),
            batch=2,
            status=Status.WRONG,
            wrong_images=(0, 1),
            workarounds=(),
        ),
    ),
)
