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
    """The workarounds of a defect that are not on and help at some of these nodes, by their arguments; where no nodes
    are given, those that help in every minimal case."""
    on, nodes = tuple(on), None if nodes is None else tuple(nodes)
    return tuple(
        name
        for name in defect.workarounds
        if name not in on
        and (_helps_everywhere(name, defect) if nodes is None else any(_fits(name, node) for node in nodes))
    )


def options(defect: Defect, fitting: Iterable[str] | None, on: Iterable[str] = ()) -> list[tuple[str, ...]]:
    """The sets of workarounds with which a defect should be gone: each of those that help wherever it is triggered
    or, of a defect of many operators, all that fit together. `fitting` are those that fit where it was triggered, as
    far as that is known."""
    there = [name for name in defect.workarounds if name not in on and (fitting is None or name in fitting)]
    alone: list[tuple[str, ...]] = [(name,) for name in there if _helps_everywhere(name, defect)]
    return alone or ([tuple(there)] if there and fitting is not None else [])


def may_change(name: str, operator: str) -> bool:
    """Whether a workaround changes operators of this name at all."""
    return not WORKAROUNDS[name].changes or operator in WORKAROUNDS[name].changes


def with_workarounds(program: Program, on: tuple[str, ...]) -> Program:
    """The program with these workarounds on, and no others."""
    from conformance.programs.program import Program

    module: Any = copy.copy(program.module)
    module.workarounds = on
    return Program(module, program.inputs)


def _helps_everywhere(name: str, defect: Defect) -> bool:
    return all(name in minimal.workarounds for minimal in defect.minimal_cases)


def _fits(name: str, node: Node) -> bool:
    """Whether a workaround changes a node, as far as its arguments say."""
    return may_change(name, operator(node)) and (name not in _FITS or _FITS[name](arguments(node)))


def _is_one_value(given: Mapping[str, Any]) -> bool:
    """Whether what is written has no value for each place."""
    shape = getattr(given["values"].meta.get("val"), "shape", ())
    return not given.get("accumulate") and (not shape or shape[0] == 1)


# Of the workarounds that leave some calls of an operator as they are: whether these arguments are not among them.
_FITS: Mapping[str, Callable[[Mapping[str, Any]], bool]] = {
    "chunk": lambda given: len(set(given.get("split_sizes", ()))) == 1,  # x.chunk(n) makes equal pieces alone
    "grid_sample": lambda given: given["interpolation_mode"] != 2,  # bicubic
    "mask": _is_one_value,
}


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
            name
            for name in defect.workarounds
            if name not in self._on and may_change(name, operator(node)) and not self._triggered_with(name)[site]
        )

    def _triggered_with(self, name: str) -> Counter[Any]:
        """The sites that are triggers with another workaround on."""
        if name not in self._left:
            on = (*self._on, name)
            try:
                program = with_workarounds(self._program, on) if WORKAROUNDS[name].in_program else self._program
                found = find(program.exported.graph, workarounds=on, **self._where)
            except Exception:  # noqa: BLE001 (torch.export has many; what cannot be captured helps nowhere)
                self._left[name] = _Everywhere()
            else:
                self._left[name] = Counter(_site(defect, node) for defect, node in found)
        return self._left[name]


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
