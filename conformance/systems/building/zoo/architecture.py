"""A network of a package's, for inference; and how it is made without giving its weights any values."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch.nn import init
from torch.utils._python_dispatch import TorchDispatchMode

_SEED = 0
# Smaller tensors may say what a network is made of: the rates of its layers, tables of indices.
_LARGE = 4096
_FILLED = ("zeros", "ones", "rand", "randn", "full")


def made(construct: Callable[[], nn.Module], fake: bool) -> nn.Module:
    """What `construct` gives, seeded and for inference; without values where it is `fake`: see `unfilled`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        with _offline(), unfilled() if fake else nullcontext():
            module = construct()
    return module.float().eval().requires_grad_(False)


@contextmanager
def _offline() -> Iterator[None]:
    """A constructor that would fetch weights fails at once."""

    def refuse(*given: Any, **more: Any) -> Any:
        raise OSError("it would fetch something, and architectures are built without network")

    with patch.object(socket.socket, "connect", refuse), patch.object(socket, "getaddrinfo", refuse):
        yield


@contextmanager
def unfilled() -> Iterator[None]:
    """Large tensors that are made in here have no values and, until somebody writes them, take no memory.

    What a constructor computes of small ones, and of integers, is as it is: unlike fake tensors or those of the meta
    device, it can be read, as many constructors do.
    """
    truncated = init._no_grad_trunc_normal_  # draws until every value fits, which those that nobody wrote never do
    draw: Any = lambda tensor, *more, **by: tensor if _is_large(tensor) else truncated(tensor, *more, **by)  # noqa: E731
    with patch.object(init, truncated.__name__, draw), _Unfilled():  # type: ignore[no-untyped-call]
        yield


class _Unfilled(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        name = func._schema.name.removeprefix("aten::")
        if name.endswith("_") and args and _is_large(args[0]):
            return args[0]  # written in place: filled, scaled, clamped, copied into
        if name in _FILLED and _made(func, args, kwargs):
            return torch.empty(args[0], **{key: kwargs[key] for key in ("dtype", "device") if key in kwargs})
        return func(*args, **kwargs)


def _is_large(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point() and value.numel() > _LARGE


def _made(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    """Whether a factory makes a large tensor of floats."""
    size = args[0] if args and isinstance(args[0], list | tuple | torch.Size) else ()
    dtype = kwargs.get("dtype") or torch.get_default_dtype()
    return bool(dtype.is_floating_point) and torch.Size(size).numel() > _LARGE
