"""ONNX Runtime makes the zeros around an image part of the pooling that follows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from conformance.cases.outcome import Stage, Status
from conformance.core.deferred import functional, torch
from conformance.defects.defect import Defect, Evidence, MinimalCase
from conformance.graphs.fx_match import arguments, calls, operator

if TYPE_CHECKING:
    from torch import Tensor
    from torch.fx import Node


@dataclass(frozen=True)
class _Axis:
    """How rows, or columns, are padded with zeros, by `before` and `after`, and then pooled."""

    size: int
    before: int
    after: int
    kernel: int
    stride: int
    padding: int
    dilation: int

    @property
    def reads_zeros(self) -> bool:
        """Whether a window covers a zero of the padding."""
        image = range(self.padding + self.before, self.padding + self.before + self.size)
        padded = range(self.padding, image.stop + self.after)
        last = padded.stop + self.padding - self.dilation * (self.kernel - 1)
        read = {
            start + step * self.dilation for start in range(0, last, self.stride) for step in range(self.kernel)
        }  # fmt: skip
        return any(index in read and index not in image for index in padded)

    @property
    def refused(self) -> bool:
        """Whether the padding of both is as large as the window."""
        return self.padding + max(self.before, self.after) >= self.kernel


def pools_the_largest_of_padded(node: Node) -> bool:
    """Whether the node is a max-pooling of an image that was padded with zeros, and reads any of them."""
    axes = _fused(node) if operator(node).startswith("max_pool") else []
    return any(axis.reads_zeros for axis in axes) and not any(axis.refused for axis in axes)


def pads_more_than_it_pools(node: Node) -> bool:
    """Whether the node pools an image that was padded with zeros, both together by as much as its window, or more."""
    return any(axis.refused for axis in _fused(node))


def _fused(node: Node) -> list[_Axis]:
    """The rows and columns of a pooling that the Pad before it becomes a part of; none where it does not."""
    if not operator(node).startswith(("max_pool", "avg_pool")) or "indices" in operator(node):
        return []
    padded, pooling = node.args[0], arguments(node)
    if operator(padded) not in ("pad", "constant_pad_nd") or len(padded.users) > 1:  # type: ignore[arg-type, union-attr]
        return []
    given = arguments(padded)  # type: ignore[arg-type]
    rank = len(pooling["kernel_size"])
    pads = [*given["pad"], *[0] * (2 * rank)]
    if given.get("mode", "constant") != "constant" or given["value"] or min(pads) < 0 or not any(pads[: 2 * rank]):
        return []
    if any(pads[2 * rank :]) or (any(pooling["padding"]) and not pooling.get("count_include_pad", True)):
        return []
    sizes = given["self"].meta["val"].shape[-rank:]
    values = (pooling[name] or pooling["kernel_size"] for name in ("kernel_size", "stride", "padding"))
    dilation = pooling.get("dilation", [1])
    along = zip(*(list(value) * rank if len(value) == 1 else value for value in (*values, dilation)), strict=True)
    return [
        _Axis(size, pads[2 * (rank - axis - 1)], pads[2 * (rank - axis - 1) + 1], *steps)
        for axis, (size, steps) in enumerate(zip(sizes, along, strict=False))
    ]


def _negative(index: int) -> tuple[Tensor, ...]:
    return (-1 - torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(index)),)


def _largest(x: Tensor) -> Tensor:
    return functional.max_pool2d(functional.pad(x, (1, 1, 1, 1)), 2, 1)


def _average(x: Tensor) -> Tensor:
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
    seen=(
        "met while a find of the property tests was made smaller, with ONNX Runtime 1.31.1; the fusion is PadFusion. "
        "Seen with 1.22 to 1.31.1, and right with 1.32.0"
    ),
    links=("https://github.com/microsoft/onnxruntime/issues/24737", *_LINKS),
    packages={"onnxruntime": ">=1.22,<1.32"},
    fixed_in="1.32.0",
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
    seen=(
        "found by the property tests with ONNX Runtime 1.31.1; the fusion is PadFusion. Seen with 1.24 to 1.31.1, "
        "and right with 1.32.0; not found in public trackers (searched 2026-11)"
    ),
    links=_LINKS,
    packages={"onnxruntime": ">=1.24,<1.32"},
    fixed_in="1.32.0",
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
