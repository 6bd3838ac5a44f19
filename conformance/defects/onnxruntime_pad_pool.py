"""ONNX Runtime makes the zeros around an image part of the pooling that follows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.cases.outcome import Stage, Status
from conformance.defects.defect import Defect, Evidence, MinimalCase
from conformance.defects.small import arguments, calls, operator

if TYPE_CHECKING:
    from torch import Tensor
    from torch.fx import Node


def pools_the_largest_of_padded(node: Node) -> bool:
    """Whether the node is a max-pooling of an image that was padded with zeros."""
    return operator(node).startswith("max_pool") and _padded(node) is not None


def pads_more_than_it_pools(node: Node) -> bool:
    """Whether the node pools an image that was padded with constants by as much as its window, or more."""
    if not operator(node).startswith(("max_pool", "avg_pool", "adaptive_avg_pool")):
        return False
    pads = _padded(node)
    if pads is None:
        return False
    window = arguments(node).get("kernel_size") or 1
    return max(pads) >= (window if isinstance(window, int) else min(window))


def _padded(node: Node) -> list[int] | None:
    """By how much what it reads was padded with a constant."""
    before: Any = node.args[0]
    if operator(before) not in ("pad", "constant_pad_nd"):
        return None
    given = arguments(before)
    return list(given["pad"]) if given.get("mode", "constant") == "constant" and not given["value"] else None


def _negative(index: int) -> tuple[Tensor, ...]:
    import torch

    return (-1 - torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(index)),)


def _largest(x: Tensor) -> Tensor:
    from torch.nn import functional

    return functional.max_pool2d(functional.pad(x, (1, 1, 1, 1)), 2, 1)


def _average(x: Tensor) -> Tensor:
    from torch.nn import functional

    return functional.avg_pool2d(functional.pad(x, (1, 1, 1, 1)), 1)


_LINKS = (
    "https://github.com/microsoft/onnxruntime/blob/main/onnxruntime/core/optimizer/pad_fusion.cc",
    "https://onnx.ai/onnx/operators/onnx__MaxPool.html",
)

ONNXRUNTIME_PAD_MAX = Defect(
    id="onnxruntime-pad-max-pool",
    title="max-pooling of an image padded with zeros does not see the zeros",
    known=(
        "ONNX Runtime fuses a Pad with the pooling behind it. A max-pooling pads with minus infinity: where all of a "
        "window is negative the answer is not 0, as it should be. SiLU and linear activations are negative. Let "
        "max-pooling pad itself, if minus infinity is meant; else switch the fusion off."
    ),
    evidence=Evidence.REPRODUCED,
    seen="met while a find of the property tests was made smaller, with ONNX Runtime 1.31.1; the fusion is PadFusion",
    links=_LINKS,
    packages={"onnxruntime": "==1.31.*"},
    trigger=pools_the_largest_of_padded,
    stage=Stage.COMPARE,
    workarounds=(),
    minimal_cases=(
        MinimalCase(
            name="negative-image",
            title="4 x 4, padding 1, by 2 x 2",
            build=lambda: calls(_largest),
            inputs=_negative,
            batch=2,
            status=Status.WRONG,
            wrong_images=(0, 1),
            workarounds=(),
        ),
    ),
)

ONNXRUNTIME_PAD_POOL = Defect(
    id="onnxruntime-pad-pool",
    title="pooling of an image that is padded by as much as the window is refused",
    known=(
        "ONNX Runtime fuses a Pad with the pooling behind it, and then refuses that: 'Pad should be smaller than "
        "kernel'. Pad less, or slice and concatenate."
    ),
    evidence=Evidence.REPRODUCED,
    seen="found by the property tests with ONNX Runtime 1.31.1; the fusion is PadFusion",
    links=_LINKS,
    packages={"onnxruntime": "==1.31.*"},
    trigger=pads_more_than_it_pools,
    stage=Stage.COMPILE,
    workarounds=(),
    minimal_cases=(
        MinimalCase(
            name="average-of-one",
            title="4 x 4, padding 1, by 1 x 1",
            build=lambda: calls(_average),
            inputs=_negative,
            batch=2,
            status=Status.ERROR,
            signature="Fail",
            workarounds=(),
        ),
    ),
)
