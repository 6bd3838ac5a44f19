"""The mode that puts one spelling of a function in the place of another while it is active."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

# Takes what the function is given, its tensor first, and gives what the function gives, or NotImplemented for what it
# does not cover.
Rewrite = Callable[..., Any]
Rewrites = Mapping[Any, Rewrite]

_FIRST = ("input", "self", "tensor")  # what torch calls the tensor that stands first


class Respelled(TorchFunctionMode):
    """While active, these functions of torch are computed by their rewrites; what a rewrite does not cover, and all
    others, by torch."""

    def __init__(self, rewrites: Rewrites) -> None:
        super().__init__()
        self.rewrites = rewrites

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        rewrite = self.rewrites.get(func)
        if rewrite is None:
            return func(*args, **kwargs)
        first = [kwargs[name] for name in _FIRST if name in kwargs]
        rest = {name: value for name, value in kwargs.items() if name not in _FIRST}
        result = rewrite(*first, *args, **rest)
        return func(*args, **kwargs) if result is NotImplemented else result


def sizes_of(x: Tensor) -> tuple[Any, ...]:
    """The shape; in plain numbers also where torch.jit traces, as that holds for the shapes of its example alone."""
    with _unwarned():
        return tuple(int(size) for size in x.shape) if _traces() else tuple(x.shape)


def constant(values: Any, dtype: torch.dtype | None = None) -> Tensor:
    """A tensor of known values, on the CPU."""
    with _unwarned():
        return torch.tensor(values, dtype=dtype, device="cpu")


@contextmanager
def _unwarned() -> Iterator[None]:
    """Without what torch.jit warns of where values of Python become constants, as they are to."""
    if not _traces():
        yield
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _traces() -> bool:
    return bool(torch.jit.is_tracing())  # type: ignore[attr-defined, no-untyped-call]


def fixed(sizes: Any) -> tuple[int, ...] | None:
    """The same numbers, where all are plain; None where one is not."""
    return tuple(sizes) if all(type(size) is int for size in sizes) else None


def repeated(value: Any, count: int) -> tuple[Any, ...]:
    """One value stands for all dimensions; `count` values are themselves."""
    values = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    return values * count if len(values) == 1 else values


def along(x: Tensor, dim: int, start: int, stop: int, step: int = 1) -> Tensor:
    """`x[..., start:stop:step, ...]` along a dimension, counted from either end."""
    index = [slice(None)] * x.dim()
    index[dim] = slice(start, stop, step)
    return x[tuple(index)]
