"""ONNX counts a window of pooling that begins beyond the image."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from conformance.cases.outcome import Stage, Status
from conformance.core.deferred import functional, torch
from conformance.defects.defect import Defect, Evidence, MinimalCase
from conformance.defects.pooling import windows
from conformance.graphs.fx_match import arguments, calls, images, operator

if TYPE_CHECKING:
    from torch import Tensor
    from torch.fx import Node


# ONNX has no operator for them: they are functions, which ONNX Runtime writes out, and then infers all shapes again.
_WRITTEN_OUT = ("silu", "hardswish", "mish")
_SHAPES_GIVEN = ("view", "reshape", "flatten", "expand", "interpolate")
_PRODUCTS = ("matmul", "bmm", "linear")


def drops_a_window(node: Node) -> bool:
    """Whether the node pools with ceil_mode, torch leaves out a window that would begin beyond the image, and the
    shape that has it does not go with what follows, where shapes are inferred again."""
    along = windows(node)
    if not along or not arguments(node)["ceil_mode"]:
        return False
    *outer, rows, columns = node.meta["val"].shape
    counted = tuple(math.ceil((w.size + 2 * w.padding - w.length) / w.stride) + 1 for w in along)
    if counted == (rows, columns):
        return False
    conflict = _conflict(node, (*outer, *counted))
    return conflict is not None and (any(map(_is_written_out, node.graph.nodes)) or _is_scaled(conflict))


def _is_written_out(node: Node) -> bool:
    """Whether the node is such a function, or the product that SiLU is."""
    if operator(node) != "mul":
        return operator(node) in _WRITTEN_OUT
    factors = node.all_input_nodes
    gates = [factor for factor in factors if operator(factor) == "sigmoid"]
    return any(other in (gate.args[0], *gate.args[0].all_input_nodes) for gate in gates for other in factors)  # type: ignore[union-attr]


def _is_scaled(node: Node) -> bool:
    """Whether the node is a matrix product that a factor before or behind it becomes a part of."""
    around = (*node.all_input_nodes, *node.users)
    return operator(node) in _PRODUCTS and any(
        operator(other) in ("mul", "div") and len(other.all_input_nodes) == 1 for other in around
    )


def _conflict(pooling: Node, shape: tuple[int, ...]) -> Node | None:
    """The first of the nodes behind a pooling that cannot be computed for another shape of its result."""
    changed = {pooling: torch.empty(shape, device="meta")}

    def value(node: Node) -> Any:
        known = node.meta.get("val")
        if node in changed or not isinstance(known, torch.Tensor):
            return changed.get(node, known)
        return torch.empty(known.shape, dtype=known.dtype, device="meta")

    behind: list[Node] = list(pooling.graph.nodes)
    for node in behind:
        if node.op != "call_function" or changed.keys().isdisjoint(node.all_input_nodes):
            continue
        if operator(node) in _SHAPES_GIVEN or _is_written_out(node):
            continue
        args, kwargs = torch.fx.node.map_arg((node.args, node.kwargs), value)
        try:
            result = node.target(*args, **kwargs)  # type: ignore[operator]
        except (RuntimeError, IndexError):
            return node
        if isinstance(result, torch.Tensor):
            changed[node] = result
    return None


def _multiplied(x: Tensor) -> Tensor:
    y = functional.max_pool2d(x, 1, (2, 1), ceil_mode=True)
    return functional.silu(y @ y)


ONNXRUNTIME_CEIL = Defect(
    id="onnxruntime-ceil-shape",
    title="a pooling with ceil_mode has one more row in ONNX's shapes than it gives",
    known=(
        "PyTorch leaves out a last window that begins beyond the image and its padding. ONNX Runtime computes so, "
        "and infers a shape that counts the window. It goes by the exporter's shapes until a function is written "
        "out, which SiLU, Hardswish and Mish are in ONNX, anywhere in the program, or a product takes in a factor: "
        "then what the pooling is added to, multiplied by or concatenated with does not fit and is refused. Use a "
        "size at which the windows fit, or slice before the pooling."
    ),
    evidence=Evidence.REPRODUCED,
    seen=(
        "found by the property tests with ONNX Runtime 1.31.1, which warns of shapes that cannot be merged; seen "
        "with 1.22 to 1.32.0. The shape is onnx/onnx#5711, and is right in ONNX since"
    ),
    links=(
        "https://github.com/onnx/onnx/issues/5711",
        "https://onnx.ai/onnx/operators/onnx__MaxPool.html",
    ),
    packages={"onnxruntime": ">=1.22"},
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
