"""What torch-xla leaves to the CPU, or refuses, while a model is traced: by the table of what was measured.

An operator whose arguments decide has a condition here; all others are as in the table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from conformance.core.deferred import torch
from conformance.defects.dataflow import depends_on_input
from conformance.graphs.fx_match import arguments, is_constant, schema_arguments
from conformance.operators.table import Fate, table

if TYPE_CHECKING:
    from torch import Tensor
    from torch.fx import Node


def _has_a_mask(given: Mapping[str, Any]) -> bool:
    """Whether a tensor is indexed with a mask: torch-xla lowers whole numbers alone."""
    return any(index is not None and _is_mask(index) for index in given["indices"])


def _is_mask(index: Tensor) -> bool:
    return str(index.dtype) in ("torch.bool", "torch.uint8")


def _dilated(given: Mapping[str, Any]) -> bool:
    return any(step != 1 for step in given["dilation"])


def _uneven(given: Mapping[str, Any]) -> bool:
    """Whether windows of several sizes are needed."""
    wanted = given["output_size"]
    return any(have % want for have, want in zip(given["self"].shape[-len(wanted) :], wanted, strict=True))


def _not_dense(given: Mapping[str, Any]) -> bool:
    """Whether no stride is 1, or the view has more values than there are."""
    count = prod(given["size"]) + (given["storage_offset"] or 0)
    return min(given["stride"], default=1) != 1 or count > given["self"].numel()


def _reduces_otherwise(given: Mapping[str, Any]) -> bool:
    return given["reduce"] == "mean" or not given["include_self"]


# Of the operators that the table has with several fates: whether these arguments have the one that is not `lowered`.
CONDITIONS: Mapping[str, Callable[[Mapping[str, Any]], bool]] = {
    "aten::_adaptive_avg_pool2d": _uneven,
    "aten::_adaptive_avg_pool3d": _uneven,
    "aten::adaptive_max_pool2d": _uneven,
    "aten::as_strided": _not_dense,
    "aten::index.Tensor": _has_a_mask,
    "aten::index_put": _has_a_mask,
    "aten::index_put_": _has_a_mask,
    "aten::max_pool2d": _dilated,
    "aten::max_pool2d_with_indices": _dilated,
    "aten::max_pool3d": _dilated,
    "aten::max_pool3d_with_indices": _dilated,
    "aten::scatter_reduce.two": _reduces_otherwise,
    "aten::scatter_reduce_.two": _reduces_otherwise,
}


def fate(func: Any, args: Any, kwargs: Any, functionalization: bool = False) -> Fate | None:
    """What becomes of one operator that a device is handed; None where it was not measured, or gives no value."""
    if not func._schema.returns:
        return None
    fates = table().fates(func.name(), functionalization)
    if len(fates) < 2:
        return next(iter(fates), None)
    triggered = CONDITIONS[func.name()](schema_arguments(func, args, kwargs))
    return next(iter(fates - {Fate.LOWERED})) if triggered else Fate.LOWERED


def read_there(func: Any, args: Any, kwargs: Any) -> list[Tensor]:
    """What an operator that is left to the CPU reads there: of an index the masks alone, of others all they are
    given."""
    from conformance.operators.parts import tensors_in

    indices = schema_arguments(func, args, kwargs).get("indices")
    if isinstance(indices, list | tuple):
        return [index for index in indices if index is not None and _is_mask(index)]
    return tensors_in((args, kwargs))


def masks_of(node: Node) -> list[Node]:
    """The masks that a node of a graph is indexed with, whose places are read on the CPU."""
    indices = arguments(node).get("indices")
    given = [one for one in indices if hasattr(one, "meta")] if isinstance(indices, list | tuple) else []
    return [one for one in given if _is_mask(one.meta["val"])]


def left_to_the_cpu(node: Node, functionalization: bool = False) -> bool:
    """Whether the node, or a part of it, is computed on the CPU while it is traced."""
    return any(part.fates[functionalization] is Fate.CPU for part in _parts(node))


def frozen(node: Node, functionalization: bool = False) -> bool:
    """Whether what is read there depends on an input."""
    return any(part.fates[functionalization] is Fate.CPU and part.depends for part in _parts(node))


def refused(node: Node, functionalization: bool = False) -> bool:
    """Whether tracing ends with an error at the node."""
    return any(part.fates[functionalization] is Fate.REFUSED for part in _parts(node))


def of_parameters_alone(node: Node) -> bool:
    """Whether what it is applied to are parameters, buffers and constants."""
    return bool(node.all_input_nodes) and all(map(is_constant, node.all_input_nodes))


@dataclass(frozen=True)
class _Part:
    """An operator that a device is handed for a node: its fates without functionalization and with, and whether what
    it would read on the CPU depends on an input."""

    fates: tuple[Fate | None, Fate | None]
    depends: bool


_KNOWN: WeakKeyDictionary[Node, tuple[Any, list[_Part]]] = WeakKeyDictionary()


def _parts(node: Node) -> list[_Part]:
    target, parts = _KNOWN.get(node, (None, None))
    if parts is None or target is not node.target:
        parts = _looked_up(node)
        _KNOWN[node] = node.target, parts
    return parts


def _looked_up(node: Node) -> list[_Part]:
    """The node's own operator or, where torch writes that in others and torch-xla has nothing of its own for it,
    these. They show when it is run on the graph's fake tensors."""
    from conformance.operators.parts import Dependent, is_composite, tell_parts, tensors_in

    if not isinstance(node.target, torch._ops.OpOverload):
        return []
    func: Any = node.target
    args, kwargs = torch.fx.node.map_arg((node.args, node.kwargs), lambda given: given.meta.get("val"))
    dependent = Dependent(
        tensors_in([given.meta.get("val") for given in node.all_input_nodes if depends_on_input(given)])
    )
    parts: list[_Part] = []

    def tell(func: Any, args: Any, kwargs: Any) -> None:
        fates = fate(func, args, kwargs, False), fate(func, args, kwargs, True)
        parts.append(_Part(fates, Fate.CPU in fates and dependent.has(read_there(func, args, kwargs))))

    if is_composite(func) and not table().fates(func.name(), functionalization=False):
        tell_parts(func, args, kwargs, tell, dependent)
    else:
        tell(func, args, kwargs)
    return parts
