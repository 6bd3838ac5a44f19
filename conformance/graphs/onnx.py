"""The graph of an ONNX model, of either of torch's exporters."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING

from conformance.graphs.graph import Graph, Kind, Operator, Shape, joined

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, TensorProto

_KINDS = {
    "Conv": Kind.CONV,
    "ConvTranspose": Kind.CONV,
    "ConvInteger": Kind.CONV,
    "QLinearConv": Kind.CONV,
    "FusedConv": Kind.CONV,
    "MatMul": Kind.MATMUL,
    "Gemm": Kind.MATMUL,
    "Einsum": Kind.MATMUL,
    "MatMulInteger": Kind.MATMUL,
    "QLinearMatMul": Kind.MATMUL,
    "FusedMatMul": Kind.MATMUL,
    "Softmax": Kind.SOFTMAX,
    "LogSoftmax": Kind.SOFTMAX,
    "Attention": Kind.ATTENTION,
    "MultiHeadAttention": Kind.ATTENTION,
    "BatchNormalization": Kind.NORM,
    "LayerNormalization": Kind.NORM,
    "GroupNormalization": Kind.NORM,
    "InstanceNormalization": Kind.NORM,
    "RMSNormalization": Kind.NORM,
    "Resize": Kind.RESIZE,
    "Upsample": Kind.RESIZE,
    "TopK": Kind.TOPK,
    "NonMaxSuppression": Kind.NMS,
}
# They give numbers that depend on a shape alone, which is fixed.
_SHAPES = ("Shape", "Size")


def from_onnx(model: ModelProto, paths: frozenset[str]) -> Graph:
    """The graph of a model. `paths` are those of the program's modules."""
    graph = model.graph
    constants: dict[str, Shape] = {}
    operators = tuple(_operators(graph, paths, constants))
    initial = {tensor.name for tensor in graph.initializer}
    return Graph(
        operators=operators,
        inputs=tuple(value.name for value in graph.input if value.name not in initial),
        outputs=tuple(value.name for value in graph.output),
        constants=constants,
    )


def _operators(graph: GraphProto, paths: frozenset[str], constants: dict[str, Shape]) -> Iterator[Operator]:
    """The operators of a graph, those of the graphs inside an If or a Loop before it. Fills `constants`."""
    constants.update({tensor.name: tuple(tensor.dims) for tensor in graph.initializer if not _whole(tensor)})
    for node in graph.node:
        inner: list[str] = []
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _operators(attribute.g, paths, constants)
                inner += [value.name for value in attribute.g.output]
            elif node.op_type == "Constant" and attribute.HasField("t") and not _whole(attribute.t):
                constants[node.output[0]] = tuple(attribute.t.dims)
        inputs = () if node.op_type in _SHAPES else (*node.input, *inner)
        outputs = tuple(filter(None, node.output))
        yield Operator(_KINDS.get(node.op_type), _scope(node, paths), tuple(filter(None, inputs)), outputs)


def _whole(tensor: TensorProto) -> bool:
    """Whether it holds whole numbers."""
    from onnx import TensorProto

    name: str = TensorProto.DataType.Name(tensor.data_type)
    return name.startswith(("INT", "UINT"))


def _scope(node: NodeProto, paths: frozenset[str]) -> str | None:
    """The newer exporter writes `['', 'module', 'module.stem', 'conv2d']` beside a node, the older one gives it
    the name `/module/stem/Conv`."""
    for note in node.metadata_props:
        if note.key == "pkg.torch.onnx.name_scopes":
            return joined(ast.literal_eval(note.value)[:-1], paths)
    if node.name.startswith("/"):
        return joined(node.name.split("/")[1:-1], paths)
    return None
