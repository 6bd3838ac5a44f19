"""The graph that torch-xla traces of a module, with the module's scopes in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from conformance.core.deferred import torch
from conformance.graphs.graph import Fallback, Graph
from conformance.graphs.hlo import from_hlo

if TYPE_CHECKING:
    from torch import Tensor, nn

# torch-xla fails on fewer: it looks for a frame of Python that is that far from the innermost.
_FRAMES = 3


@dataclass(frozen=True)
class Traced:
    """A graph, and the operators whose result is a constant in it, as torch-xla left them to the CPU."""

    graph: Graph
    fallbacks: tuple[Fallback, ...]


def traced(module: nn.Module, inputs: tuple[Tensor, ...]) -> Traced:
    """The HLO of a run that is never executed. Module and inputs are on the XLA device and computed.

    In a run that is to be executed the marks would be part of the program.
    """
    import torch_xla

    fallbacks: dict[Fallback, None] = {}
    index_of = {torch_xla._XLAC._xla_get_tensor_id(x): index for index, x in enumerate(inputs)}
    with _named_operators(module, index_of.keys(), fallbacks):
        outputs = [output for output in module(*(x.clone() for x in inputs)) if output.device.type == "xla"]
        if not outputs:  # each is a constant
            return Traced(Graph((), (), ()), tuple(fallbacks))
        text = torch_xla._XLAC._get_xla_tensors_hlo(outputs)
    numbers = {number: index_of[id_] for number, id_ in enumerate(_held(outputs)) if id_ in index_of}
    return Traced(from_hlo(text, numbers), tuple(fallbacks))


def _held(tensors: Sequence[Tensor]) -> list[int]:
    """The numbers of the tensors with values that these would be computed from."""
    import torch_xla

    numbers: list[int] = torch_xla._XLAC._get_tensors_xla_device_data_node(list(tensors))[0]
    return numbers


def _to_the_cpu(func: Any, args: Any, kwargs: Any) -> bool:
    """Whether an operator gives what it is given to the CPU, as `cpu()`, `tolist()` and `copy_` into a tensor there
    do."""
    if func._schema.name == "aten::_to_copy":
        return str((kwargs or {}).get("device")) == "cpu"
    return func._schema.name == "aten::copy_" and str(args[0].device) == "cpu"


@contextmanager
def _named_operators(module: nn.Module, inputs: Set[int], fallbacks: dict[Fallback, None]) -> Iterator[None]:
    """While inside, what torch-xla traces is marked with `SCOPE#CALL#`, and its HLO says so; what it leaves to the
    CPU, or the module takes there, is put into `fallbacks`. `inputs` are the numbers of tensors."""
    import torch_xla.debug.metrics

    from conformance.graphs.eager import scopes

    metrics = torch_xla.debug.metrics
    stack, calls = [""], iter(range(10**9))
    node_of = torch_xla._XLAC._unique_id_for_ir_and_data

    def on_device(values: Any) -> Iterator[Tensor]:
        return (
            x
            for x in torch.utils._pytree.tree_leaves(values)
            if isinstance(x, torch.Tensor) and x.device.type == "xla"
        )

    class Mark(torch.utils._python_dispatch.TorchDispatchMode):  # type: ignore[no-untyped-call]
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            there = list(on_device((args, kwargs)))
            given = {node_of(x) for x in there}
            if there and _to_the_cpu(func, args, kwargs) and not inputs.isdisjoint(_held(there)):
                name = func._schema.name
                fallbacks[Fallback(name, stack[-1], (f"{name} to the CPU",), moved=True)] = None
            metrics.clear_counters()
            results = func(*args, **(kwargs or {}))
            if computed := metrics.executed_fallback_ops():
                fallbacks[Fallback(func._schema.name, stack[-1], tuple(computed))] = None
            mark = f"{stack[-1]}#{next(calls)}#"
            for x in on_device(results):
                if node_of(x) not in given:  # a clone, or a slice of all there is, is the operator before it
                    torch_xla._XLAC._set_xla_custom_op_name_prefix(x, mark, _FRAMES)
            return results

    before = torch_xla._XLAC._get_ir_debug()
    torch_xla._XLAC._set_ir_debug(True)
    try:
        with scopes(module, lambda scope, _: stack.append(scope), lambda _: (stack.pop(), None)[1]), Mark():  # type: ignore[no-untyped-call]
            yield
    finally:
        torch_xla._XLAC._set_ir_debug(before)
