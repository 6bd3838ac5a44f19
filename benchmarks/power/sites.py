"""Where in a graph a fault can be planted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

from torch.fx import Graph, GraphModule, Node

from benchmarks.power.edits import tensor
from conformance.core.groups import Group
from conformance.graphs.exported import node_scope
from conformance.running.comparison import Comparison


@dataclass(frozen=True, eq=False)
class Site:
    """A node that depends on the images. `layer` is the layer of the model that it belongs to, empty for none.

    `shape` is that of the tensor of floating point it gives, None where it gives another thing; `batched`: its first
    dimension is the batch; `fed`: those of its inputs that depend on the images; `scores`: the group of scores,
    where it is the output that has one.
    """

    node: Node
    layer: str
    shape: tuple[int, ...] | None
    batched: bool
    fed: tuple[Node, ...]
    scores: Group | None = None

    @property
    def size(self) -> int:
        """How many values it gives."""
        return prod(self.shape or (0,))


def find_sites(module: GraphModule, comparison: Comparison) -> list[Site]:
    """The sites of the graph of a comparison's tapped program, in the order they run. Each node is told its layer."""
    outputs = _output_nodes(module.graph)[: comparison.output_count]
    groups = {outputs[group.output]: group for group in comparison.groups or () if group.name == "scores"}
    program = comparison.tapped or comparison.program
    batch, layers = comparison.batch, [layer.path for layer in comparison.layers]
    scopes: dict[Node, str] = {}
    sites = []
    for node, inputs in fed_nodes(module.graph):
        # an activation that is shared by layers has no scope of its own
        scopes[node] = node_scope(node, program.paths) or scopes.get(inputs[0], "")
        node.meta["layer"] = layer = _layer(scopes[node], layers)
        shape = _shape(node)
        sites.append(Site(node, layer, shape, shape is not None and shape[:1] == (batch,), inputs, groups.get(node)))
    return sites


def fed_nodes(graph: Graph) -> Iterator[tuple[Node, tuple[Node, ...]]]:
    """The operators that depend on the inputs, in the order they run, each with those of its inputs that do."""
    fed = {node for node in graph.nodes if node.op == "placeholder"}
    for node in graph.nodes:
        inputs = tuple(value for value in node.all_input_nodes if value in fed)
        if node.op == "call_function" and inputs:
            fed.add(node)
            yield node, inputs


def _output_nodes(graph: Graph) -> list[Node]:
    output: Node = next(node for node in graph.nodes if node.op == "output")
    return output.all_input_nodes


def _shape(node: Node) -> tuple[int, ...] | None:
    value = tensor(node)
    return tuple(value.shape) if value is not None and value.is_floating_point() else None


def _layer(scope: str, layers: Sequence[str]) -> str:
    """The innermost layer that holds a module."""
    return max((path for path in layers if f"{scope}.".startswith(f"{path}.")), key=len, default="")
