"""What an accelerator computes in bfloat16 of a float32 model, as `neuronx-cc --auto-cast` asks for it.

`matmult` rounds what goes into products of matrices, convolutions among them; these are added up and given out in
float32. `all` rounds what goes into and comes out of every operator.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

from conformance.cases.case import AUTO_CAST
from conformance.graphs.graph import Kind
from conformance.graphs.kinds import kind_of

_PRODUCTS = {Kind.CONV, Kind.MATMUL, Kind.ATTENTION}


# What a module calls for products of matrices; torch.export and torch-xla see what they are given.
_CALLED = {
    *(getattr(torch, name) for name in ("matmul", "bmm", "mm", "einsum", "baddbmm", "addmm")),
    *(getattr(Tensor, name) for name in ("matmul", "__matmul__", "__rmatmul__", "bmm", "mm")),
    *(getattr(functional, name) for name in ("linear", "scaled_dot_product_attention")),
    *(getattr(functional, f"conv{kind}{n}d") for kind in ("", "_transpose") for n in (1, 2, 3)),
}


@contextmanager
def products_cast(active: bool) -> Iterator[None]:
    """While inside, modules round to bfloat16 what they give to products of matrices: the casts become part of a
    program that is captured."""
    if not active:
        yield
        return
    with _CastProducts():
        yield


class _CastProducts(TorchFunctionMode):
    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in _CALLED:
            args, kwargs = _rounded(args), _rounded(kwargs or {})
        return func(*args, **(kwargs or {}))


@contextmanager
def auto_cast(dtype: str) -> Iterator[None]:
    """While inside, operators compute as at this dtype of a case; as they are where it casts nothing."""
    if (which := AUTO_CAST.get(dtype)) is None:
        yield
        return
    with _Casting(everything=which == "all"):
        yield


class _Casting(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self, everything: bool) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.everything = everything

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """The operator, on rounded inputs where it is to be cast."""
        kwargs = kwargs or {}
        if any(value.alias_info is not None for value in func._schema.returns):  # of what it is given, not of a copy
            result = func(*args, **kwargs)
            written = self.everything and func._schema.is_mutable
            return tree_map_only(Tensor, _round_in_place, result) if written else result
        if not self.everything and kind_of(func._schema.name) not in _PRODUCTS:
            return func(*args, **kwargs)
        result = func(*_rounded(args), **_rounded(kwargs))
        return _rounded(result) if self.everything else result


def _rounded(values: Any) -> Any:
    return tree_map_only(Tensor, _round, values)


def _round(x: Tensor) -> Tensor:
    return x.bfloat16().float() if x.dtype == torch.float32 else x


def _round_in_place(x: Tensor) -> Tensor:
    return x.copy_(_round(x)) if x.dtype == torch.float32 else x
