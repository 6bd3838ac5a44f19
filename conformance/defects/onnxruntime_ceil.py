"""ONNX counts a window of pooling that begins beyond the image."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from conformance.cases.outcome import Stage, Status
from conformance.defects.defect import Defect, Evidence, MinimalCase
from conformance.defects.small import arguments, calls, images, operator, pair

if TYPE_CHECKING:
    from torch import Tensor
    from torch.fx import Node


def drops_a_window(node: Node) -> bool:
    """Whether the node pools with ceil_mode, and torch leaves out a window that would begin beyond the image."""
    if not operator(node).startswith(("max_pool2d", "avg_pool2d")):
        return False
    given = arguments(node)
    if not given["ceil_mode"]:
        return False
    value = node.meta["val"]
    results = (value[0] if isinstance(value, tuple) else value).shape[-2:]
    kernel, padding, dilation = (pair(given.get(name, 1)) for name in ("kernel_size", "padding", "dilation"))
    strides = pair(given["stride"] or given["kernel_size"])
    sizes = given["self"].meta["val"].shape[-2:]
    along = zip(sizes, results, kernel, strides, padding, dilation, strict=True)
    return any(math.ceil((n + 2 * p - d * (k - 1) - 1) / s) + 1 > m for n, m, k, s, p, d in along)


def _multiplied(x: Tensor) -> Tensor:
    from torch.nn import functional

    y = functional.max_pool2d(x, 1, (2, 1), ceil_mode=True)
    return functional.silu(y @ y)


ONNXRUNTIME_CEIL = Defect(
    id="onnxruntime-ceil-shape",
    title="a pooling with ceil_mode has one more row in ONNX's shapes than it gives",
    known=(
        "PyTorch leaves out a last window that begins beyond the image and its padding. ONNX Runtime computes so, "
        "and infers a shape that counts the window. Where its optimizer goes by that, what follows is refused, or "
        "fails when it is run. Use a size at which the windows fit, or slice before the pooling."
    ),
    evidence=Evidence.REPRODUCED,
    seen="found by the property tests with ONNX Runtime 1.31.1, which warns of shapes that cannot be merged",
    links=("https://onnx.ai/onnx/operators/onnx__MaxPool.html",),
    packages={"onnxruntime": "==1.31.*"},
    trigger=drops_a_window,
    stage=Stage.COMPILE,
    workarounds=(),
    minimal_cases=(
        MinimalCase(
            name="product",
            title="2 x 1 by 1 x 1, stride 2, times itself, SiLU",
            build=lambda: calls(_multiplied),
            inputs=images(1, 1, 2, 1),
            batch=1,
            status=Status.ERROR,
            signature="Fail",
            workarounds=(),
        ),
    ),
)
