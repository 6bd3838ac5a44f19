"""A run in float64 of a module that makes tensors in float32 itself, or casts to it: these are float64 there, too."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

_NARROW = (torch.float32, torch.float16, torch.bfloat16)


@contextmanager
def promoting() -> Iterator[None]:
    """While inside, operators compute in float64 whatever narrower floats they are given or asked for."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with _Promoting():  # type: ignore[no-untyped-call]
            yield
    finally:
        torch.set_default_dtype(before)


class _Promoting(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """The operator, on float64 tensors. What it writes into stays what it is."""
        written = [argument.name for argument in func._schema.arguments if argument.alias_info is not None]
        names = [argument.name for argument in func._schema.arguments]
        args = tuple(value if name in written else _wide(value) for name, value in zip(names, args, strict=False))
        kwargs = {name: value if name in written else _wide(value) for name, value in (kwargs or {}).items()}
        return func(*args, **kwargs)


def _wide(value: Any) -> Any:
    return tree_map(_wider, value)


def _wider(value: Any) -> Any:
    if isinstance(value, Tensor) and value.dtype in _NARROW:
        return value.double()
    return torch.float64 if value in _NARROW else value
