"""Which nodes of an exported graph depend on an input, and which of them an output depends on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from conformance.graphs.fx_match import is_constant, operator
from conformance.graphs.kinds import gives_shape_alone

if TYPE_CHECKING:
    from torch.fx import Graph, Node


def reads_input(node: Node) -> bool:
    """Whether the values that the node is given depend on an input of the program."""
    return node in _dataflow(node.graph).reading


def depends_on_input(node: Node) -> bool:
    """Whether the node is an input of the program, or is computed from one."""
    return reads_input(node) or (node.op == "placeholder" and not is_constant(node))


def reachable(node: Node) -> bool:
    """Whether an output of the program depends on the node."""
    return node in _dataflow(node.graph).reachable


class _Dataflow:
    """Of a graph. A view shares the memory of its base, its root: what writes into one of them writes into all."""

    def __init__(self, graph: Graph) -> None:
        self._roots: dict[Node, Node] = {}
        for node in graph.nodes:
            self._roots[node] = self._roots[base] if (base := _base(node)) is not None else node
        self.reading = frozenset(self._forward(graph))
        self.reachable = frozenset(self._backward(graph))

    def _forward(self, graph: Graph) -> Iterator[Node]:
        dependent: set[Node] = set()  # roots, as of the node that is reached
        for node in graph.nodes:
            if node.op == "placeholder" and not is_constant(node):
                dependent.add(node)
            elif any(self._roots[given] in dependent for given in _values(node)):
                yield node
                dependent.add(self._roots[node])
                dependent.update(self._roots[written] for written in _written(node))

    def _backward(self, graph: Graph) -> Iterator[Node]:
        wanted: set[Node] = set()
        roots: set[Node] = set()
        for node in reversed(graph.nodes):
            if node.op == "output" or node in wanted or any(self._roots[given] in roots for given in _written(node)):
                yield node
                wanted.update(node.all_input_nodes)
                roots.update(self._roots[given] for given in node.all_input_nodes)


_KNOWN: WeakKeyDictionary[Graph, _Dataflow] = WeakKeyDictionary()


def _dataflow(graph: Graph) -> _Dataflow:
    if graph not in _KNOWN:
        _KNOWN[graph] = _Dataflow(graph)
    return _KNOWN[graph]


def _values(node: Node) -> list[Node]:
    """The nodes whose values are read."""
    given = node.all_input_nodes
    schema = getattr(node.target, "_schema", None)
    if schema is not None and gives_shape_alone(schema.name):
        return [other for other in given if other is not node.args[0]]
    return given


def _arguments(node: Node) -> Iterator[tuple[Any, Any]]:
    """The arguments of an operator, as its schema has them and as they are given."""
    schema = getattr(node.target, "_schema", None)
    yield from zip(schema.arguments if schema is not None else (), node.args, strict=False)


def _written(node: Node) -> list[Node]:
    """The nodes that an operator writes into."""
    return [given for named, given in _arguments(node) if named.alias_info is not None and named.alias_info.is_write]


def _base(node: Node) -> Node | None:
    """What the node is a view of, or a piece of such views, or what it has written into."""
    if operator(node) == "getitem":
        return node.args[0]  # type: ignore[return-value]
    if any(value.alias_info is not None for value in getattr(getattr(node.target, "_schema", None), "returns", ())):
        return next((given for named, given in _arguments(node) if named.alias_info is not None), None)
    return None
