"""Which workarounds help at a node: tried on the graph, or told from the node where there is no module."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from conformance.defects.catalogue import find
from conformance.defects.defect import Defect
from conformance.graphs.fx_match import arguments, operator
from conformance.programs.workarounds import WORKAROUNDS

if TYPE_CHECKING:
    from torch.fx import Node

    from conformance.programs.program import Program

# Takes a defect and a node that triggers it, gives the workarounds that help there.
Helping = Callable[[Defect, "Node"], tuple[str, ...]]


def offered(defect: Defect, on: Iterable[str] = (), nodes: Iterable[Node] | None = None) -> tuple[str, ...]:
    """The workarounds of a defect that are not on and help at some of these nodes, by their arguments; at any node,
    where none are given."""
    on, nodes = tuple(on), None if nodes is None else tuple(nodes)
    return tuple(
        name
        for name in defect.workarounds
        if name not in on and (not _has_to_fit(name) if nodes is None else any(_fits(name, node) for node in nodes))
    )


def _has_to_fit(name: str) -> bool:
    return name == "chunk"


def _fits(name: str, node: Node) -> bool:
    """Whether a workaround changes a node: x.chunk(n) makes equal pieces alone."""
    return not _has_to_fit(name) or len(set(arguments(node).get("split_sizes", ()))) == 1


class Tried:
    """The workarounds that defects of a program name, each tried once: is a node still a trigger with it?"""

    def __init__(self, program: Program, on: tuple[str, ...], where: Mapping[str, Any]) -> None:
        """`on` are those that are on, `where` the packages, hardware and dtype, as `find` takes them."""
        self._program = program
        self._on = on
        self._where = where
        self._left: dict[str, Counter[Any]] = {}

    def helping(self, defect: Defect, node: Node) -> tuple[str, ...]:
        """The workarounds that leave nothing of a defect at a node."""
        site = _site(defect, node)
        return tuple(
            name for name in defect.workarounds if name not in self._on and not self._triggered_with(name)[site]
        )

    def _triggered_with(self, name: str) -> Counter[Any]:
        """The sites that are triggers with another workaround on."""
        if name not in self._left:
            on = (*self._on, name)
            try:
                program = self._with(on) if WORKAROUNDS[name].in_program else self._program
                found = find(program.exported.graph, workarounds=on, **self._where)
            except Exception:  # noqa: BLE001 (torch.export has many; what cannot be captured helps nowhere)
                self._left[name] = _Everywhere()
            else:
                self._left[name] = Counter(_site(defect, node) for defect, node in found)
        return self._left[name]

    def _with(self, on: tuple[str, ...]) -> Program:
        from conformance.programs.program import Program

        module: Any = copy.copy(self._program.module)
        module.workarounds = on
        return Program(module, self._program.inputs)


class _Everywhere(Counter[Any]):
    def __missing__(self, site: Any) -> int:
        return 1


def _site(defect: Defect, node: Node) -> Any:
    """What is the same of a node when its program is captured again: its module, and what it is given. Nodes that
    are alike in this are rewritten alike."""
    scope = tuple(path for path, _ in (node.meta.get("nn_module_stack") or {}).values())
    shapes = tuple(str(getattr(given.meta.get("val"), "shape", None)) for given in node.all_input_nodes)
    plain = {name: str(value) for name, value in arguments(node).items() if not _holds_a_node(value)}
    return defect.id, scope, operator(node), shapes, tuple(sorted(plain.items()))


def _holds_a_node(value: Any) -> bool:
    values = value if isinstance(value, list | tuple) else [value]
    return any(hasattr(one, "all_input_nodes") for one in values)
