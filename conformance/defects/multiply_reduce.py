"""neuronx-cc simplified the sum of a product with a broadcast factor wrongly."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.cases.outcome import Stage, Status
from conformance.core.deferred import torch
from conformance.defects.defect import Defect, EmulatedFault, Evidence, MinimalCase
from conformance.graphs.fx_match import arguments, calls, operator

if TYPE_CHECKING:
    from torch import Tensor
    from torch.fx import Node


def reduces_a_broadcast_product(node: Node) -> bool:
    """Whether the node reduces a product along a dimension in which one factor is broadcast."""
    if operator(node) not in ("sum", "mean", "amax", "amin"):
        return False
    given = arguments(node)
    product = given["self"]
    if operator(product) != "mul" or not given.get("dim"):
        return False
    shape = product.meta["val"].shape
    return any(_broadcast(factor, dim % len(shape), shape) for factor in product.args for dim in given["dim"])


def _broadcast(factor: object, dim: int, shape: tuple[int, ...]) -> bool:
    """Whether a factor, which may be a number, is one value along a dimension of the product."""
    value = getattr(factor, "meta", {}).get("val")
    if value is None:
        return False
    axis = dim - (len(shape) - value.dim())
    return shape[dim] > 1 and (axis < 0 or value.shape[axis] == 1)


def _weighted(x: Tensor, weights: Tensor) -> Tensor:
    return (x * weights).sum(dim=1)


def _inputs(index: int) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(index)
    return torch.rand(2, 8, 6, 6, generator=generator), torch.rand(2, 1, 6, 6, generator=generator)


MULTIPLY_REDUCE = Defect(
    id="multiply-reduce",
    title="the sum of a product with a broadcast factor is wrong before SDK 2.32",
    known=(
        "The compiler's simplifier got the broadcast wrong where a multiplication is followed by a reduction: a "
        "spatial mask times the features, summed over the channels. A silent corruption that the release notes name "
        "among what is fixed; along which dimensions is not said, so that any broadcast that is summed is expected "
        "to be hit. Upgrade, or write it as a matrix product."
    ),
    evidence=Evidence.REPORT,
    seen="release notes of SDK 2.32; what comes out is not said",
    links=("https://github.com/aws-neuron/aws-neuron-sdk/blob/81ce03ae/release-notes/components/compiler.rst",),
    packages={"neuronx-cc": "<2.27"},
    fixed_in="2.32.0",
    trigger=reduces_a_broadcast_product,
    stage=Stage.COMPARE,
    fault=EmulatedFault.UNPUBLISHED,
    workarounds=(),
    minimal_cases=(
        MinimalCase(
            name="masked-sum",
            title="(2, 8, 6, 6) times (2, 1, 6, 6), summed over the channels",
            build=lambda: calls(_weighted),
            inputs=_inputs,
            batch=2,
            status=Status.WRONG,
            wrong_images=(0, 1),
            workarounds=(),
        ),
    ),
)
