"""What a module computes: one run on the CPU, every operator written down with the module it ran in.

torch.export cannot tell. What goes through numpy, or another library, it refuses or does not see; here it shows
as a tensor that no operator made.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from conformance.graphs.graph import Graph, Kind, Operator, Shape, Source, scope_of
from conformance.graphs.kinds import gives_shape_alone, kind_of


def source(module: nn.Module, inputs: tuple[Tensor, ...]) -> Source:
    """The graph of a module for these inputs, and the shapes met.

    A tensor from outside torch is a constant if it is the same for other inputs; if not, it is taken to depend
    on all that the module it appears in has been given or has computed until then.
    """
    run = _recorded(module, inputs)
    if run.untracked:
        other = _recorded(module, tuple(_another(x) for x in inputs))
        run.resolve(other.untracked)
    return run.source()


def _another(x: Tensor) -> Tensor:
    """Another input of the same shape."""
    moved = x.roll(1, -1) if x.dim() else x
    return moved * 0.5 if moved.is_floating_point() else moved


def _recorded(module: nn.Module, inputs: tuple[Tensor, ...]) -> _Run:
    inputs = tuple(x.clone() for x in inputs)  # the module may write into them
    run = _Run(module, inputs)
    with torch.no_grad(), scopes(module, run.enter, run.leave), run:
        outputs = module(*inputs)
    run.outputs = tuple(run.value(output) for output in outputs)
    return run


@contextmanager
def scopes(module: nn.Module, enter: Any, leave: Any) -> Iterator[None]:
    """Call `enter(scope, arguments)` before, and `leave(output)` after, every call of a module inside."""
    handles = []
    for path, part in module.named_modules():
        scope = scope_of(path)
        handles += [
            part.register_forward_pre_hook(
                lambda _, args, kwargs, scope=scope: enter(scope, (args, kwargs)), prepend=True, with_kwargs=True
            ),
            part.register_forward_hook(lambda _, __, output: leave(output)),
        ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@dataclass(frozen=True)
class _Untracked:
    """A tensor that no operator made, and the index of the operator that stands for what did."""

    index: int
    tensor: Tensor


class _Run(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """A run being written down. Values are storages: a view is the same value, a write makes it a new one."""

    def __init__(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operators: list[Operator] = []
        self.shapes: dict[str, set[Shape]] = defaultdict(set)
        self.untracked: list[_Untracked] = []
        self._given: list[tuple[str, Shape, str]] = []  # value, shape, scope
        self._called: list[tuple[str, str, tuple[str, ...]]] = []  # operator, scope, what it reads
        self._returned: list[tuple[str, str]] = []  # scope, value
        self._values: dict[int, tuple[StorageWeakRef, str]] = {}
        self._frames: list[tuple[str, set[str]]] = [("", set())]
        self.inputs = tuple(self._new(x) for x in inputs)
        self.constants = tuple(self._new(x) for x in _constants(module) if _storage(x) not in self._values)
        self.outputs: tuple[str, ...] = ()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the operator, and write it down unless it only gives a view of what it is given."""
        kwargs = kwargs or {}
        read = tuple(dict.fromkeys(self.value(x) for x in _tensors((args, kwargs))))
        if gives_shape_alone(func._schema.name):
            read = tuple(value for value in read if value != self.value(args[0]))
        self._called.append((func._schema.name, self._frames[-1][0], read))
        results = func(*args, **kwargs)
        written = [x for x in _tensors(results) if func._schema.is_mutable or _storage(x) not in self._values]
        if written:
            outputs = tuple(self._new(x) for x in written)
            kind = kind_of(func._schema.name)
            if kind == Kind.RESIZE and written[0].shape == args[0].shape:  # computes nothing, and may go
                kind = None
            self.operators.append(Operator(kind, self._frames[-1][0], read, outputs))
        self._give(results)
        return results

    def value(self, tensor: Tensor) -> str:
        """The name of a tensor's value. One that is not known comes from outside torch."""
        known = self._values.get(_storage(tensor))
        if known is not None:
            self._frames[-1][1].add(known[1])
            self.shapes[known[1]].add(tuple(tensor.shape))
            return known[1]
        scope, seen = self._frames[-1]
        read = tuple(seen)
        value = self._new(tensor)
        self.untracked.append(_Untracked(len(self.operators), tensor.detach().clone()))
        self.operators.append(Operator(None, scope, read, (value,)))
        return value

    def _new(self, tensor: Tensor) -> str:
        """A new value, in the tensor's storage. The weak reference keeps its address from being used again."""
        value = f"v{len(self.shapes)}"
        self.shapes[value].add(tuple(tensor.shape))
        reference = StorageWeakRef(tensor.untyped_storage())  # type: ignore[no-untyped-call]
        self._values[_storage(tensor)] = reference, value
        self._frames[-1][1].add(value)
        return value

    def enter(self, scope: str, arguments: Any) -> None:
        """A module is called."""
        values = {self.value(x) for x in _tensors(arguments)}
        self._frames.append((scope, values))

    def leave(self, output: Any) -> None:
        """It returns."""
        self._give(output)
        scope, values = self._frames.pop()
        self._returned += [(scope, self.value(x)) for x in _tensors(output)]
        self._frames[-1][1].update(values)

    def _give(self, results: Any) -> None:
        """An operator or a module gives this."""
        self._given += [(self.value(x), tuple(x.shape), self._frames[-1][0]) for x in _tensors(results)]

    def resolve(self, others: list[_Untracked]) -> None:
        """Cut off the untracked that are the same in a run with other inputs."""
        for mine, other in zip(self.untracked, others, strict=False):
            if torch.equal(mine.tensor, other.tensor):
                self.operators[mine.index] = replace(self.operators[mine.index], inputs=())

    def source(self) -> Source:
        """What was written down."""
        constants = {value: min(self.shapes[value]) for value in self.constants}
        graph = Graph(tuple(self.operators), self.inputs, self.outputs, constants)
        activations: dict[Shape, dict[str, None]] = defaultdict(dict)
        for untracked in self.untracked:
            maker = self.operators[untracked.index]
            if maker.outputs[0] in graph.input_dependent:
                activations[tuple(untracked.tensor.shape)][maker.scope or ""] = None
        named = set(activations)
        for value, shape, scope in self._given:
            if value in graph.input_dependent and shape not in named:
                activations[shape][scope] = None
        constant = {
            shape for value, shapes in self.shapes.items() if value not in graph.input_dependent for shape in shapes
        }
        return Source(
            graph,
            {shape: tuple(found) for shape, found in activations.items()},
            frozenset(constant),
            frozenset(
                (name, scope) for name, scope, read in self._called if not graph.input_dependent.isdisjoint(read)
            ),
            frozenset(scope for scope, value in self._returned if value in graph.input_dependent),
        )


def _tensors(value: Any) -> Iterable[Tensor]:
    return (leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor))


def _constants(module: nn.Module) -> Iterable[Tensor]:
    """Parameters, buffers, and the tensors that modules keep in plain attributes."""
    return _tensors([vars(part) for part in module.modules()])


def _storage(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)
