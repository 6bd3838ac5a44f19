"""What a target compiles: a module whose outputs are a flat tuple of tensors, for fixed inputs."""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from conformance.graphs.eager import source
from conformance.graphs.graph import Source
from conformance.programs.arguments import placed
from conformance.programs.autocast import products_cast
from conformance.programs.workarounds import make_contiguous, rewriting


def tensors(value: Any) -> tuple[Tensor, ...]:
    """The tensors of any nesting of lists, tuples and dicts, in order."""
    return tuple(leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor))


class Whole(nn.Module):
    """The model with its outputs flattened, and behind them the values of the tapped layers.

    `taps` are the numbers of the values that each layer gives, by its path; `shown` those that are given out, in
    order, and `written` those that the model overwrites later, of which a copy is kept. What has these numbers is a
    `Golden`. Hooks exist only while it runs, so that the same module can be compiled tapped and untapped.
    """

    def __init__(
        self,
        module: nn.Module,
        workarounds: tuple[str, ...] = (),
        taps: Mapping[str, Sequence[int]] | None = None,
        shown: Sequence[int] = (),
        written: Collection[int] = (),
    ) -> None:
        super().__init__()
        self.module = module
        self.workarounds = workarounds
        self.taps = dict(taps or {})
        self.shown = tuple(shown)
        self.written = frozenset(written)
        self.casts = False

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Flattened outputs, then the values that are shown."""
        seen: dict[int, Tensor] = {}

        def tap(numbers: Sequence[int]) -> Any:
            def keep(_: nn.Module, __: Any, output: Any) -> None:
                for number, tensor in zip(numbers, tensors(output), strict=True):
                    seen[number] = tensor.clone() if number in self.written else tensor

            return keep

        handles = [
            self.module.get_submodule(path).register_forward_hook(tap(numbers)) for path, numbers in self.taps.items()
        ]
        try:
            with rewriting(self.workarounds), products_cast(self.casts):
                outputs = tensors(self.module(*inputs))
        finally:
            for handle in handles:
                handle.remove()
        return (*outputs, *(seen[number] for number in self.shown))


class Isolated(nn.Module):
    """One layer alone. `arguments` is what it is called with, `(args, kwargs)`, with the places of the inputs for its
    tensors (`conformance.programs.arguments`); of the inputs that are `written` into it gets copies."""

    def __init__(
        self, layer: nn.Module, arguments: Any, workarounds: tuple[str, ...] = (), written: Collection[int] = ()
    ) -> None:
        super().__init__()
        self.module = layer
        self.arguments = arguments
        self.workarounds = workarounds
        self.written = frozenset(written)
        self.casts = False

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """The layer's outputs, flattened."""
        args, kwargs = placed(
            self.arguments, {i: x.clone() if i in self.written else x for i, x in enumerate(inputs)}
        )
        with rewriting(self.workarounds), products_cast(self.casts):
            return tensors(self.module(*args, **kwargs))


class CaptureError(Exception):
    """A module cannot be captured: what torch.export says, and the type of its error."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.signature = type(error).__name__


class Program:
    """A module and the inputs it is compiled for. Exported at most once, however many targets want the graph.

    A target is given a copy of its own, which it may change as it likes: `origin` is what that was copied from.
    """

    def __init__(self, module: nn.Module, inputs: tuple[Tensor, ...], origin: Program | None = None) -> None:
        self.module = module.eval()
        self.inputs = inputs
        self._origin = origin

    @property
    def origin(self) -> Program:
        """The program that this is a copy of, or it itself."""
        return self._origin or self

    def copied(self) -> Program:
        """A program that shares nothing with this one that can be changed."""
        return Program(copy.deepcopy(self.module), tuple(x.clone() for x in self.inputs), self.origin)

    @cached_property
    def exported(self) -> torch.export.ExportedProgram:
        """The graph as torch.export sees it, before decomposition. Raises CaptureError.

        Of a copy: modules that keep what they compute (a head its anchors) are left with fake tensors in it.
        """
        if self._origin is not None:
            return copy.deepcopy(self._origin.exported)
        module = copy.deepcopy(self.module)
        make_contiguous(module, self.workarounds)
        try:
            with torch.no_grad():
                return torch.export.export(module, self.inputs, strict=False)
        except Exception as error:  # torch.export has many
            raise CaptureError(error) from error

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
        if self._origin is not None:
            return self._origin.with_casts.copied()
        module: Any = copy.copy(self.module)
        module.casts = True
        return Program(module, self.inputs)
