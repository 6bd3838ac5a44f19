"""Every output of a model and of its layers in float64, and what each layer was fed with; kept on disk."""

from __future__ import annotations

import copy
import hashlib
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from conformance.program import place, tensors
from conformance.store import Store, digest


@dataclass(frozen=True)
class Golden:
    """What went through a model for one set of inputs.

    `values` are the distinct tensors; `outputs`, each layer's `results` and each layer's `arguments` (a
    nesting of lists) are places in it. `types` are the layers' class names.
    """

    values: tuple[Tensor, ...]
    outputs: list[int]
    results: dict[str, list[int]]
    arguments: dict[str, Any]
    types: dict[str, str]

    def of_layer(self, path: str) -> tuple[Tensor, ...]:
        """A layer's outputs, flattened."""
        return tuple(self.values[i] for i in self.results[path])

    def into_layer(self, path: str, dtype: torch.dtype) -> tuple[Any, tuple[Tensor, ...]]:
        """A layer's arguments: a nesting of places in the tensors given beside it, those in this dtype."""
        used = sorted(set(_flat(self.arguments[path])))
        renumbered = {value: index for index, value in enumerate(used)}
        structure = place(self.arguments[path], renumbered)
        return structure, tuple(cast(self.values[i], dtype) for i in used)


def golden(module: nn.Module, model_key: str, layers: tuple[str, ...], inputs: tuple[Tensor, ...]) -> Golden:
    """The float64 reference of a model, from disk where it was computed before."""
    key = golden_key(model_key, layers, inputs)
    store = Store("golden")
    with store.lock(key):
        if (entry := store.load(key)) is not None:
            named, note = entry
            return Golden(tuple(named[str(i)] for i in range(len(named))), **note)
        reference = record(copy.deepcopy(module).double(), layers, tuple(cast(x, torch.float64) for x in inputs))
        named = {str(i): value for i, value in enumerate(reference.values)}
        note = {key: value for key, value in vars(reference).items() if key != "values"}
        store.save(key, named, note)
    return reference


def golden_key(model_key: str, layers: tuple[str, ...], inputs: tuple[Tensor, ...]) -> str:
    """The name of the reference of a model and its layers for these inputs."""
    content = hashlib.sha256(b"".join(x.numpy().tobytes() for x in inputs)).hexdigest()
    shapes = [list(x.shape) for x in inputs]
    recipe = {"model": model_key, "layers": list(layers), "inputs": content, "shapes": shapes}
    return digest({**recipe, "torch": torch.__version__})


@torch.no_grad()
def record(module: nn.Module, layers: tuple[str, ...], inputs: tuple[Tensor, ...]) -> Golden:
    """Run a module once and note what goes into and comes out of every layer."""
    seen: dict[tuple[int, int], int] = {}
    alive: list[Tensor] = []  # or an id could come back as another tensor's
    values: list[Tensor] = []
    arguments: dict[str, Any] = {}
    results: dict[str, list[int]] = {}

    def place_of(tensor: Tensor) -> int:
        name = (id(tensor), tensor._version)  # written in place, it is another value
        if name not in seen:
            seen[name] = len(values)
            alive.append(tensor)
            values.append(tensor.detach().clone(memory_format=torch.contiguous_format))
        return seen[name]

    def before(path: str) -> Any:
        return lambda _, given: arguments.__setitem__(path, _as_lists(tree_map_only(Tensor, place_of, given)))

    def after(path: str) -> Any:
        return lambda _, __, output: results.__setitem__(path, [place_of(t) for t in tensors(output)])

    handles = []
    for path in layers:
        layer = module.get_submodule(path)
        handles += [layer.register_forward_pre_hook(before(path)), layer.register_forward_hook(after(path))]
    outputs = [place_of(tensor) for tensor in tensors(module(*inputs))]
    for handle in handles:
        handle.remove()
    types = {path: type(module.get_submodule(path)).__name__ for path in layers}
    return Golden(tuple(values), outputs, results, arguments, types)


def cast(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """The tensor in a dtype; integers stay as they are."""
    return tensor.to(dtype) if tensor.is_floating_point() else tensor


def _as_lists(structure: Any) -> Any:
    """Tuples as lists, as they come back from JSON."""
    return [_as_lists(part) for part in structure] if isinstance(structure, (list, tuple)) else structure


def _flat(structure: Any) -> list[int]:
    return [i for part in structure for i in _flat(part)] if isinstance(structure, list) else [structure]
