"""Programs that are cut out of a model's graph: any of its operators, fed with what the reference has there."""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.fx import Graph, GraphModule, Interpreter, Node
from torch.utils._pytree import tree_leaves, tree_map

from conformance.cases.span import Operator
from conformance.core.errors import UserError
from conformance.golden.promoting import promoting
from conformance.golden.reference import cast
from conformance.graphs.exported import node_scope, source_line
from conformance.graphs.fx_match import arguments
from conformance.programs.autocast import products_cast

if TYPE_CHECKING:
    from torch.export import ExportedProgram


class Part(nn.Module):
    """Operators as a module: it takes what they are given, and gives what others, or the model, take of them. Of
    inputs that are `written` into it makes copies."""

    def __init__(self, module: GraphModule, written: Collection[int]) -> None:
        super().__init__()
        self.module = module
        self.written = frozenset(written)
        self.workarounds: tuple[str, ...] = ()
        self.casts = False

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Its outputs, flat."""
        with products_cast(self.casts):
            return tuple(self.module(*(x.clone() if i in self.written else x for i, x in enumerate(inputs))))


@dataclass(frozen=True)
class Cut:
    """Operators that were cut out: `takes` and `gives` are the names of what goes in and comes out in the graph they
    are of, `inputs` what the reference has there for each set of images."""

    module: Part
    takes: tuple[str, ...]
    gives: tuple[str, ...]
    inputs: tuple[tuple[Tensor, ...], ...]


class Operators:
    """The operators of an exported model, and what the reference has between them for some sets of images, in a
    dtype."""

    def __init__(
        self,
        exported: ExportedProgram,
        paths: frozenset[str],
        images: Sequence[tuple[Tensor, ...]],
        dtype: torch.dtype,
    ) -> None:
        self._graph = unlifted(exported)
        self._paths = paths
        self._nodes = [node for node in self._graph.graph.nodes if _computes(node)]
        self._numbers = {node: number for number, node in enumerate(self._nodes)}
        self._values = [_Values(self._graph, self._made_by, inputs, dtype) for inputs in images]

    def __len__(self) -> int:
        return len(self._nodes)

    def __iter__(self) -> Iterator[Operator]:
        for number, node in enumerate(self._nodes):
            scope, shape = node_scope(node, self._paths), tuple(getattr(node.meta.get("val"), "shape", ()))
            takes = tuple(sorted({self._made_by(one) for one in node.all_input_nodes} - {-1}))
            what = (number, node.name, str(node.target), scope or "", source_line(node))
            yield Operator(*what, shape, takes, self._is_apart(number))

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of the model's outputs, in order."""
        (output,) = self._graph.graph.find_nodes(op="output")
        return tuple(leaf.name for leaf in tree_leaves(output.args) if isinstance(leaf, Node))

    def cut(self, numbers: Sequence[int], shown: Sequence[int] = ()) -> Cut:
        """These operators as a module, which gives the values of those that are `shown` as well, as they are before
        others write into them. Raises UserError for those that there are not."""
        if max((*numbers, *shown)) >= len(self):
            raise UserError(f"the model has {len(self)} operators, 0 to {len(self) - 1}")
        nodes = list(self._graph.graph.nodes)
        chosen = {self._nodes[number]: None for number in numbers}
        takes = [node for node in nodes if _taken(node, chosen)]
        gives = [node for node in nodes if self._is_given(node, chosen, shown, node in takes)]
        early = {node for node in gives if self._made_by(node) in shown and self._written_by(node, chosen)}
        graph = _copied(self._graph.graph, chosen, takes, gives, early)
        held = {str(node.target): attribute(self._graph, node.target) for node in graph.find_nodes(op="get_attr")}
        written = [index for index, node in enumerate(takes) if self._written_by(node, chosen)]
        inputs = tuple(
            tuple(values.before(node, self._first_use(node, chosen)) for node in takes) for values in self._values
        )
        taken, given = (tuple(node.name for node in nodes) for nodes in (takes, gives))
        return Cut(Part(GraphModule(held, graph), written), taken, given, inputs)

    def _made_by(self, node: Node) -> int:
        """The number of the operator that a value is of; -1 for an input."""
        source: Any = node.args[0] if node.target is operator.getitem else node
        return self._numbers.get(source, -1)

    def _last_use(self, node: Node) -> int:
        return max((self._numbers.get(user, len(self)) for user in _users(node)), default=-1)

    def _first_use(self, node: Node, chosen: Mapping[Node, None]) -> int:
        return min(self._numbers[user] for user in node.users if user in chosen)

    def _written_by(self, node: Node, chosen: Mapping[Node, None]) -> bool:
        return any(self._nodes[number] in chosen for number in self._values[0].written(node))

    def _is_given(self, node: Node, chosen: Mapping[Node, None], shown: Sequence[int], taken: bool) -> bool:
        """Whether a value is made by these operators and used elsewhere, or to be shown; or is taken and written
        into, and used later."""
        if node.op == "get_attr" or not isinstance(node.meta.get("val"), Tensor):
            return False
        made = self._made_by(node)
        if made >= 0 and self._nodes[made] in chosen:
            return made in shown or any(user not in chosen for user in _users(node))
        last = max(self._numbers[one] for one in chosen)
        return taken and self._written_by(node, chosen) and self._last_use(node) > last

    def _is_apart(self, number: int) -> bool:
        """Whether no operator from this one on writes into what two values share that are used from here on."""
        met: set[int] = set()
        for node, storage in self._values[0].storages.items():
            written = self._values[0].written(node)
            if written and written[-1] >= number and self._made_by(node) < number <= self._last_use(node):
                if storage in met:
                    return False
                met.add(storage)
        return True


class _Values(Interpreter):
    """What goes through a graph for some images, computed in float64 and kept in another dtype: of each value what it
    was at first, and each time that it was written into."""

    def __init__(
        self,
        graph: GraphModule,
        made_by: Callable[[Node], int],
        inputs: tuple[Tensor, ...],
        dtype: torch.dtype,
    ) -> None:
        exact = copy.deepcopy(graph).double()
        super().__init__(exact, garbage_collect_values=False)
        self.storages: dict[Node, int] = {}
        self._made_by, self._dtype = made_by, dtype
        self._copies = dict(zip(graph.graph.nodes, exact.graph.nodes, strict=True))
        self._originals = {copied: node for node, copied in self._copies.items()}
        self._kept: dict[Node, list[tuple[int, Tensor]]] = {}
        self._writes: dict[int, list[int]] = {}
        with torch.no_grad():
            self.run(*(cast(x, torch.float64).clone() for x in inputs))
        self.env.clear()

    def before(self, node: Node, number: int) -> Tensor:
        """A value as the operator of this number finds it."""
        return next(value for since, value in reversed(self._kept[node]) if since < number)

    def written(self, node: Node) -> list[int]:
        """The operators that write into what a value is stored in, in order."""
        return self._writes.get(self.storages.get(node, 0), [])

    def run_node(self, n: Node) -> Any:
        """Run it as ever; keep what it gives, and what it changes."""
        with promoting():
            value = super().run_node(n)
        node = self._originals[n]
        number = self._made_by(node)
        if isinstance(value, Tensor):
            self.storages[node] = value.untyped_storage()._cdata
            if n.op != "get_attr":
                self._kept[node] = [(number, self._as_input(value))]
        for argument in _written(node):
            self._changed(self.storages[argument], number)
        return value

    def _changed(self, storage: int, number: int) -> None:
        self._writes.setdefault(storage, []).append(number)
        for node, kept in self._kept.items():
            if self.storages[node] == storage and kept[-1][0] < number:
                kept.append((number, self._as_input(self.env[self._copies[node]])))

    def _as_input(self, value: Tensor) -> Tensor:
        return cast(value, self._dtype).clone(memory_format=torch.contiguous_format)


def unlifted(exported: ExportedProgram) -> GraphModule:
    """The program as a graph of operators, without what torch asserts of it."""
    module = exported.module()
    for node in reversed(module.graph.nodes):
        if node.op == "call_module" or "_assert" in str(node.target):
            module.graph.erase_node(node)
    module.recompile()
    return module


def _computes(node: Node) -> bool:
    """Whether it is an operator: not what takes one of several values of one."""
    return node.op == "call_function" and node.target is not operator.getitem


def _users(node: Node) -> Iterator[Node]:
    """The operators that use a value, and the model's output: not what takes one of several values of one."""
    return (user for user in node.users if user.op == "output" or _computes(user))


def _written(node: Node) -> Iterator[Node]:
    """The values that an operator writes into."""
    if not _computes(node):
        return
    for argument in getattr(getattr(node.target, "_schema", None), "arguments", ()):
        if argument.alias_info is not None and argument.alias_info.is_write:
            yield from (leaf for leaf in tree_leaves(arguments(node)[argument.name]) if isinstance(leaf, Node))


def _taken(node: Node, chosen: Mapping[Node, None]) -> bool:
    """Whether operators take a value that is not of one of theirs."""
    of_theirs = node in chosen or (node.target is operator.getitem and node.args[0] in chosen)
    return (
        node.op in ("placeholder", "call_function") and not of_theirs and any(user in chosen for user in node.users)
    )


def _copied(
    source: Graph,
    chosen: Mapping[Node, None],
    takes: Sequence[Node],
    gives: Sequence[Node],
    early: Collection[Node],
) -> Graph:
    """A graph of some operators of another. Of what it gives `early` are copies, made at once."""
    graph, copies = Graph(), dict[Node, Node]()
    new = {node: graph.placeholder(node.name) for node in takes}
    for node in source.nodes:
        held = node.op == "get_attr" and any(user in chosen for user in node.users)
        part = node.target is operator.getitem and node.args[0] in chosen
        if held or part or node in chosen:
            new[node] = graph.node_copy(node, new.__getitem__)
            if takes and any(isinstance(leaf, torch.device) for leaf in tree_leaves([node.args, node.kwargs])):
                made: Any = new[node]
                made.args, made.target = (new[takes[0]], made.target, *made.args), beside
            if node in early:
                copies[node] = graph.call_function(torch.ops.aten.clone.default, (new[node],))
    graph.output(tuple(copies.get(node, new[node]) for node in gives))
    return graph


def beside(like: Tensor, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call an operator that names a device, as it does where it was exported, with that of another tensor."""
    args, kwargs = tree_map(lambda leaf: like.device if isinstance(leaf, torch.device) else leaf, (args, kwargs))
    return function(*args, **kwargs)


def attribute(module: nn.Module, path: Any) -> Any:
    """What is at a path below a module."""
    return operator.attrgetter(path)(module)
