"""The recipe of operators that were cut out of a graph."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.fx import Node

from conformance.core.errors import UserError
from conformance.golden.spans import Cut, attribute, beside
from conformance.localize.recipe import Call, Recipe, Values


def recipe(cut: Cut) -> Recipe:
    """The same program, with values made anew. Raises UserError for what cannot be written down."""
    module = cut.module.module
    inputs = dict(zip(cut.takes, map(_like, cut.inputs[0]), strict=True))
    constants, calls, names = {}, [], {}
    for node in module.graph.nodes:
        if node.op == "get_attr":
            names[node] = str(node.target).replace(".", "_")
            constants[names[node]] = _like(attribute(module, node.target))
        elif node.op == "call_function":
            calls.append(_call(node, names))
    (output,) = module.graph.find_nodes(op="output")
    outputs = tuple(names.get(node, node.name) for node in output.args[0])
    return Recipe(inputs=inputs, constants=constants, calls=tuple(calls), outputs=outputs)


def _call(node: Node, names: dict[Node, str]) -> Call:
    args, target = node.args, node.target
    if target is beside:
        target, args = args[1], args[2:]  # type: ignore[assignment]
    name = "getitem" if getattr(target, "__name__", "") == "getitem" else str(target)
    if name != "getitem" and not isinstance(target, torch._ops.OpOverload):
        raise UserError(f"{node.name} is no single operator: {name}")
    return Call(
        name=node.name,
        target=name,
        args=[plain(value, names) for value in args],
        kwargs={key: plain(value, names) for key, value in node.kwargs.items()},
    )


def plain(value: Any, names: dict[Node, str]) -> Any:
    if isinstance(value, Node):
        return {"ref": names.get(value, value.name)}
    if isinstance(value, (list, tuple)):
        return [plain(part, names) for part in value]
    for kind, known in (("dtype", torch.dtype), ("memory_format", torch.memory_format), ("layout", torch.layout)):
        if isinstance(value, known):
            return {kind: str(value).removeprefix("torch.")}
    if isinstance(value, torch.device):
        return {"device": "cpu"}
    if isinstance(value, float) and not -1e300 < value < 1e300:
        return {"float": str(value)}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise UserError(f"a {type(value).__name__} cannot be written down")


def _like(tensor: Tensor) -> Values:
    """How to make a tensor of the same kind."""
    shape = tuple(tensor.shape)
    if tensor.dtype == torch.bool:
        return Values(shape=shape, kind="truth")
    if not tensor.is_floating_point():
        return Values(shape=shape, kind="integers", high=max(1, int(tensor.max()) + 1 if tensor.numel() else 1))
    finite = tensor[tensor.isfinite()].double()
    if finite.numel() and bool((finite > 0).all()):
        return Values(shape=shape, kind="positive")
    scale = float(finite.std()) if finite.numel() > 1 else 1.0
    return Values(shape=shape, scale=float(f"{scale:.2g}") or 1.0)
