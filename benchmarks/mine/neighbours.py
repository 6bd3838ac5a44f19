"""Operators of a graph that hand values on to each other, as programs of their own."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.fx import Graph, Node

from conformance.core.errors import UserError
from conformance.graphs.fx_match import is_constant
from conformance.localize.recipe import Call, Recipe, Values
from conformance.localize.recipes import plain

_LARGEST = 1 << 19  # values of a tensor of a program


def programs(graph: Graph, length: int) -> Iterator[Recipe]:
    """Every chain of so many operators, each of which takes a value of the one before; what cannot be written down
    is left out."""
    for node in filter(_computes, graph.nodes):
        for chain in _chains([node], length):
            try:
                yield _recipe(chain)
            except UserError:
                continue


def targets(graph: Graph) -> list[str]:
    """The operators of a graph, `aten.conv2d.default`, as often as there are."""
    return [str(node.target) for node in graph.nodes if _computes(node)]


def signature(recipe: Recipe) -> str:
    """What a program is but for its sizes: operators, their arguments that are no sizes, ranks."""
    ranks = {name: len(values.shape) for name, values in {**recipe.inputs, **recipe.constants}.items()}
    calls = [(call.target, _shape_of(call.args), _shape_of(call.kwargs)) for call in recipe.calls]
    return repr((ranks, calls))


def _shape_of(value: Any) -> Any:
    """Numbers above 3 are sizes."""
    if isinstance(value, (list, tuple)):
        return [_shape_of(part) for part in value]
    if isinstance(value, dict):
        return {key: _shape_of(part) for key, part in value.items()}
    return "n" if type(value) is int and value > 3 else value


def _computes(node: Node) -> bool:
    return node.op == "call_function" and node.target is not operator.getitem


def _chains(chain: Sequence[Node], length: int) -> Iterator[Sequence[Node]]:
    if len(chain) == length:
        yield chain
        return
    for user in _users(chain[-1]):
        yield from _chains([*chain, user], length)


def _users(node: Node) -> Iterator[Node]:
    """The operators that take a value of one, also one of several values."""
    for user in node.users:
        if user.target is operator.getitem:
            yield from _users(user)
        elif _computes(user):
            yield user


def _recipe(chain: Sequence[Node]) -> Recipe:
    """Raises UserError for what cannot be written down, or is not of floats."""
    inputs: dict[str, Values] = {}
    constants: dict[str, Values] = {}
    calls: list[Call] = []
    names: dict[Node, str] = {}

    def named(node: Node) -> str:
        """The name of a value, which is an input, a constant, or one of several of an operator of the chain."""
        if node in names:
            return names[node]
        source: Any = node.args[0] if node.target is operator.getitem else None
        if source in names:
            names[node] = f"{names[source]}_{node.args[1]}"
            calls.append(Call(name=names[node], target="getitem", args=[{"ref": names[source]}, node.args[1]]))
            return names[node]
        held, letter = (constants, "w") if is_constant(node) else (inputs, "x")
        names[node] = f"{letter}{len(held)}"
        held[names[node]] = _values(node)
        return names[node]

    for number, node in enumerate(chain):
        for one in node.all_input_nodes:
            named(one)
        known = {one: names[one] for one in node.all_input_nodes}
        args, kwargs = (
            [plain(value, known) for value in node.args],
            {k: plain(v, known) for k, v in node.kwargs.items()},
        )
        if not isinstance(node.target, torch._ops.OpOverload):
            raise UserError(f"{node.name} is no operator")
        names[node] = f"y{number}"
        calls.append(Call(name=names[node], target=str(node.target), args=args, kwargs=kwargs))
    outputs = [names[chain[-1]]]
    if not isinstance(chain[-1].meta.get("val"), Tensor):
        outputs = [named(user) for user in chain[-1].users if user.target is operator.getitem]
    if not inputs or not outputs:
        raise UserError("nothing goes in, or comes out")
    return Recipe(inputs=inputs, constants=constants, calls=tuple(calls), outputs=tuple(outputs))


def _values(node: Node) -> Values:
    value = node.meta.get("val")
    if (
        not isinstance(value, Tensor)
        or value.numel() > _LARGEST
        or not all(type(size) is int for size in value.shape)
    ):
        raise UserError(f"{node.name} is no tensor of a known size")
    if value.dtype == torch.bool:
        return Values(shape=tuple(value.shape), kind="truth")
    if value.dtype != torch.float32:
        raise UserError(f"{node.name} is {value.dtype}")
    return Values(shape=tuple(value.shape), kind="positive" if "var" in node.name else "normal")
