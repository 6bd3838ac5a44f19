"""A module that runs with workarounds wherever it is called, traced or exported: the same under another `forward`."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import cache, wraps
from typing import Any, TypeVar, cast

import torch
from torch import nn
from torch._ops import OpOverload

from conformance.core.errors import UserError
from conformance.programs.workarounds import WORKAROUNDS, contexts, make_contiguous, named

M = TypeVar("M", bound=nn.Module)

_Context = Callable[[], AbstractContextManager[object]]


def apply_workarounds(module: M, *names: str) -> M:
    """The module with workarounds on: of the same class, with the same parameters, submodules and hooks, which it
    shares with the one it was made of, as torch.compile(module) does. That one stays as it is.

    `contiguous` makes a copy of the module first, whose buffers it lays out anew. Raises UserError for a name that is
    unknown or is a switch of the process, and for what is no module, was traced or exported, or has a `forward` that
    is not that of its class.
    """
    named(names)
    _require_python(module)
    if any(WORKAROUNDS[name].contiguous for name in names):
        module = copy.deepcopy(module)
        make_contiguous(module, names)
    if isinstance(module, _Applied):
        return cast(M, applied(module._plain(), (*module._workarounds, *names)))
    return cast(M, applied(module, names))


def _require_python(module: Any) -> None:
    if not isinstance(module, nn.Module):
        raise UserError(f"workarounds are applied to an nn.Module, not to {type(module).__name__}")
    captured = isinstance(module, torch.jit.ScriptModule) or (
        isinstance(module, torch.fx.GraphModule)
        and any(isinstance(node.target, OpOverload) for node in module.graph.nodes)
    )
    if captured:
        raise UserError(
            f"{type(module).__name__} was captured already: apply workarounds to the module it was made of"
        )
    if "forward" in vars(module):
        raise UserError(
            f"the forward of this {type(module).__name__} is not that of its class: call it in "
            "`with conformance.workarounds(...)`"
        )


class _Applied:
    """What is put before a module's class."""

    _workarounds: tuple[str, ...]
    _made_of: type[nn.Module]

    def _plain(self) -> Any:
        """The same module without workarounds."""
        return _under(self._made_of, vars(self))

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return applied(copy.deepcopy(self._plain(), memo), self._workarounds)

    def __copy__(self) -> Any:
        return applied(copy.copy(self._plain()), self._workarounds)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return applied, (self._plain(), self._workarounds)


def applied(module: Any, names: tuple[str, ...]) -> Any:
    """A module of another class with the very attributes of this one: what a file of torch.save calls."""
    return _under(_class_with(cast(Any, type(module)), tuple(dict.fromkeys(names))), vars(module))


def _under(cls: type[Any], attributes: dict[str, Any]) -> Any:
    made = object.__new__(cls)
    made.__dict__ = attributes
    return made


@cache
def _class_with(cls: type[nn.Module], names: tuple[str, ...]) -> type[nn.Module]:
    """A class that is called as the other, and whose `forward` runs with these workarounds."""
    made = contexts(names)

    @wraps(cls.forward)
    def forward(self: Any, *args: Any, **kwargs: Any) -> Any:
        return _inside(made, cls.forward, (self, *args), kwargs)

    own = {"_workarounds": names, "_made_of": cls, "forward": forward}
    told = {"__module__": cls.__module__, "__qualname__": cls.__qualname__, "__doc__": cls.__doc__}
    return type(cls.__name__, (_Applied, cls), own | told)


def _inside(made: Sequence[_Context], call: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """What is called within contexts, one in the other: of an ExitStack, torch.compile has known for long nothing."""
    if not made:
        return call(*args, **kwargs)
    with made[0]():
        return _inside(made[1:], call, args, kwargs)
