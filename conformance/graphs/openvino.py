"""The graph of an OpenVINO model that was made from a graph of torch.fx."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.graphs.exported import node_scope
from conformance.graphs.graph import Graph, Kind, Operator

if TYPE_CHECKING:
    from torch.fx import Graph as FxGraph

_KINDS = {
    "Convolution": Kind.CONV,
    "GroupConvolution": Kind.CONV,
    "ConvolutionBackpropData": Kind.CONV,
    "GroupConvolutionBackpropData": Kind.CONV,
    "MatMul": Kind.MATMUL,
    "Einsum": Kind.MATMUL,
    "Softmax": Kind.SOFTMAX,
    "LogSoftmax": Kind.SOFTMAX,
    "ScaledDotProductAttention": Kind.ATTENTION,
    "BatchNormInference": Kind.NORM,
    "MVN": Kind.NORM,
    "Interpolate": Kind.RESIZE,
    "TopK": Kind.TOPK,
    "NonMaxSuppression": Kind.NMS,
}


def from_openvino(model: Any, converted: FxGraph, paths: frozenset[str]) -> Graph:
    """The graph of an `openvino.Model`, whose operators are called after the nodes of `converted`, the graph it was
    made from: `bmm_1/aten.bmm.default/MatMul`. `paths` are those of the program's modules."""
    scopes = {node.name: node_scope(node, paths) for node in converted.nodes}
    operators = model.get_ordered_ops()
    return Graph(
        operators=tuple(_operator(op, scopes) for op in operators if op.get_type_name() != "Parameter"),
        inputs=tuple(parameter.get_name() for parameter in model.get_parameters()),
        outputs=tuple(result.get_name() for result in model.get_results()),
        constants={
            op.get_name(): tuple(op.get_output_shape(0))
            for op in operators
            if op.get_type_name() == "Constant" and not op.get_element_type().is_integral_number()
        },
    )


def _operator(op: Any, scopes: dict[str, str | None]) -> Operator:
    kind = op.get_type_name()
    read = () if kind == "ShapeOf" else tuple(value.get_node().get_name() for value in op.input_values())
    return Operator(_KINDS.get(kind), scopes.get(op.get_friendly_name().partition("/")[0]), read, (op.get_name(),))
