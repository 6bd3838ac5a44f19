"""How a fault gets into a graph: after a node, in its place, or without it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.fx import GraphModule, Node

from benchmarks.power.corruptions import Previous, rounded
from conformance.graphs.graph import Kind
from conformance.graphs.kinds import kind_of

# Changes the graph at a node of it.
Edit = Callable[[GraphModule, Node], None]
PRODUCTS = (Kind.CONV, Kind.MATMUL)


@dataclass(frozen=True)
class Fault:
    """What exactly is wrong, in words, and the edit that makes it so.

    `where` names what it changes, if that is more than the node it was drawn at.
    """

    detail: str
    edit: Edit
    where: str | None = None


def edited(healthy: GraphModule, site: str, edit: Edit) -> GraphModule:
    """A copy of a graph with the fault at the node of this name; weights are shared."""
    module = GraphModule(healthy, copy.deepcopy(healthy.graph))
    edit(module, next(node for node in module.graph.nodes if node.name == site))
    module.recompile()
    return module.eval()


def after(function: Callable[..., Any], *arguments: Any) -> Edit:
    """Whoever reads the node reads `function(node, *arguments)`."""
    return lambda module, node: _put_after(module, node, function, arguments)


def instead(function: Callable[..., Any]) -> Edit:
    """Another function of the same arguments."""
    return lambda module, node: setattr(node, "target", function)


def with_argument(place: int, value: Any) -> Edit:
    """One argument of the node is another."""
    return lambda module, node: node.update_arg(place, value)


def without(kept: int) -> Edit:
    """Whoever reads the node reads this one of its inputs."""

    def edit(module: GraphModule, node: Node) -> None:
        node.replace_all_uses_with(node.all_input_nodes[kept])
        module.graph.erase_node(node)  # one that works in place would still do it

    return edit


def stale(module: GraphModule, node: Node) -> None:
    """Whoever reads the node reads what it was at the call before."""
    module.add_submodule("held", Previous())
    with module.graph.inserting_after(node):
        last = module.graph.call_module("held", (node,))
    node.replace_all_uses_with(last, delete_user_cb=lambda user: user is not last)


def repeated(module: GraphModule, node: Node) -> None:
    """The node's operator once more on what it gives."""
    with module.graph.inserting_after(node):
        again = module.graph.create_node(node.op, node.target, (node, *node.args[1:]), node.kwargs)
    node.replace_all_uses_with(again, delete_user_cb=lambda user: user is not again)


def reordered(order: Sequence[int]) -> Edit:
    """The list that is the first argument of the node in another order."""

    def edit(module: GraphModule, node: Node) -> None:
        parts: Any = node.args[0]
        node.update_arg(0, [parts[place] for place in order])

    return edit


def in_bfloat16(layer: str | None = None, everywhere: bool = False) -> Edit:
    """The node or, of a layer or everywhere, all convolutions and products: operands and result in bfloat16, sums
    in float32, as the units for matrices of accelerators do it."""

    def edit(module: GraphModule, node: Node) -> None:
        chosen = [node]
        if layer is not None or everywhere:
            products = [other for other in module.graph.nodes if kind(other) in PRODUCTS]
            chosen = [other for other in products if everywhere or other.meta.get("layer") == layer]
        for one in chosen:
            _round(module, one)

    return edit


def kind(node: Node) -> Kind | None:
    """The kind of a node's operator."""
    schema = getattr(node.target, "_schema", None)
    return kind_of(schema.name) if node.op == "call_function" and schema is not None else None


def tensor(node: Node) -> torch.Tensor | None:
    """The shape and dtype of what a node gives, as a tensor without values; None where it gives several or none."""
    value = node.meta.get("val")
    return value if isinstance(value, torch.Tensor) else None


def _round(module: GraphModule, node: Node) -> None:
    for value in node.all_input_nodes:
        with module.graph.inserting_before(node):
            node.replace_input_with(value, module.graph.call_function(rounded, (value,)))
    _put_after(module, node, rounded, ())


def _put_after(module: GraphModule, node: Node, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    with module.graph.inserting_after(node):
        new = module.graph.call_function(function, (node, *arguments))
    node.replace_all_uses_with(new, delete_user_cb=lambda user: user is not new)
