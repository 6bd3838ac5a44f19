"""What a target compiles: a module whose outputs are a flat tuple of tensors, for fixed inputs."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from conformance.autocast import products_cast
from conformance.defects.workarounds import rewriting, settle
from conformance.graphs.eager import source
from conformance.graphs.graph import Source


def tensors(value: Any) -> tuple[Tensor, ...]:
    """The tensors of any nesting of lists, tuples and dicts, in order."""
    return tuple(leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor))


class Whole(nn.Module):
    """The model with its outputs flattened, and behind them the outputs of the tapped layers.

    Hooks exist only while it runs, so that the same module can be compiled tapped and untapped.
    """

    def __init__(self, module: nn.Module, workarounds: tuple[str, ...] = (), taps: Sequence[str] = ()) -> None:
        super().__init__()
        self.module = module
        self.workarounds = workarounds
        self.taps = tuple(taps)
        self.casts = False

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Flattened outputs, then those of the tapped layers in their order; none is given out twice, which
        converters stumble over."""
        seen: dict[str, tuple[Tensor, ...]] = {}
        handles = [
            self.module.get_submodule(path).register_forward_hook(
                lambda _, __, output, path=path: seen.__setitem__(path, tensors(output))
            )
            for path in self.taps
        ]
        try:
            with rewriting(self.workarounds), products_cast(self.casts):
                outputs = tensors(self.module(*inputs))
        finally:
            for handle in handles:
                handle.remove()
        flat = {id(tensor): tensor for path in self.taps for tensor in seen[path]}
        given = {id(tensor) for tensor in outputs}
        return (*outputs, *(tensor for name, tensor in flat.items() if name not in given))


class Isolated(nn.Module):
    """One layer alone. Its arguments are given as a nesting of places in the flat inputs."""

    def __init__(self, layer: nn.Module, arguments: Any, workarounds: tuple[str, ...] = ()) -> None:
        super().__init__()
        self.module = layer
        self.arguments = arguments
        self.workarounds = workarounds
        self.casts = False

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """The layer's outputs, flattened."""
        with rewriting(self.workarounds), products_cast(self.casts):
            return tensors(self.module(*place(self.arguments, inputs)))


def place(structure: Any, values: Mapping[int, Any] | Sequence[Any]) -> Any:
    """A nesting of lists of integers, with each integer replaced by the value at that place."""
    if isinstance(structure, list):
        return [place(part, values) for part in structure]
    return values[structure]


class Program:
    """A module and the inputs it is compiled for. Exported at most once, however many targets want the graph."""

    def __init__(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self.module = module.eval()
        self.inputs = inputs

    @cached_property
    def exported(self) -> torch.export.ExportedProgram:
        """The graph as torch.export sees it, before decomposition.

        Of a copy: modules that keep what they compute (a head its anchors) are left with fake tensors in it.
        """
        module = copy.deepcopy(self.module)
        settle(module, self.workarounds)
        with torch.no_grad():
            return torch.export.export(module, self.inputs, strict=False)

    @property
    def workarounds(self) -> tuple[str, ...]:
        """Those the module runs with."""
        return getattr(self.module, "workarounds", ())

    @cached_property
    def paths(self) -> frozenset[str]:
        """The paths of its modules."""
        return frozenset(path for path, _ in self.module.named_modules())

    @cached_property
    def source(self) -> Source:
        """What the module computes, whoever compiles it."""
        return source(self.module, self.inputs)

    @cached_property
    def with_casts(self) -> Program:
        """The same with the casts of `--auto-cast matmult` written into it, for compilers that make none."""
        module: Any = copy.copy(self.module)
        module.casts = True
        return Program(module, self.inputs)
