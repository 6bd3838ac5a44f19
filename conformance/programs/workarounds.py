"""Ways round a defect: another spelling of the same operation, another layout, or a switch outside the program."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING

from conformance.core.deferred import torch
from conformance.core.loading import collected

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Workaround:
    """`context` makes one in which the module is captured or run, `contiguous` asks that what the module holds is
    contiguous before it is exported, and `variables` are environment variables of the process that compiles."""

    name: str
    title: str
    context: Callable[[], AbstractContextManager[object]] | None = None
    contiguous: bool = False
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def in_program(self) -> bool:
        """Whether it changes the program, not only the process."""
        return self.context is not None or self.contiguous


def _split_as(spelling: str) -> AbstractContextManager[object]:
    """A context in which splits into sizes are spelled otherwise."""
    from conformance.programs.rewrites import SplitAs

    return SplitAs(spelling)


_OWN = (
    Workaround("slice", "x[:, a:b] instead of x.split([...])", context=partial(_split_as, "slice")),
    Workaround(
        "chunk",
        "x.chunk(n) instead of x.split([...]), where the pieces are equal",
        context=partial(_split_as, "chunk"),
    ),
    Workaround(
        "tensor_split", "x.tensor_split([...]) instead of x.split([...])", context=partial(_split_as, "tensor_split")
    ),
    Workaround("contiguous", "x.contiguous() for buffers that are kept as views", contiguous=True),
    Workaround(
        "functionalization",
        "XLA_DISABLE_FUNCTIONALIZATION=0 in the environment that compiles",
        variables={"XLA_DISABLE_FUNCTIONALIZATION": "0"},
    ),
)


WORKAROUNDS: dict[str, Workaround] = collected("workaround", Workaround, _OWN, attrgetter("name"))


def rewriting(names: tuple[str, ...]) -> AbstractContextManager[object]:
    """A context in which modules run with these workarounds' spellings. Needs torch."""
    stack = ExitStack()
    for name in names:
        if (context := WORKAROUNDS[name].context) is not None:
            stack.enter_context(context())
    return stack


def make_contiguous(module: nn.Module, names: tuple[str, ...]) -> None:
    """Do to a module what these workarounds ask for before it is exported. In place."""
    if not any(WORKAROUNDS[name].contiguous for name in names):
        return
    for part in module.modules():
        for held in (vars(part), part._parameters, part._buffers):
            for value in held.values():
                if isinstance(value, torch.Tensor):
                    value.data = value.data.contiguous()


def variables(names: tuple[str, ...]) -> dict[str, str]:
    """The environment variables that these workarounds set."""
    return {key: value for name in names for key, value in WORKAROUNDS[name].variables.items()}
