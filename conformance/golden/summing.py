"""Sums and means added up one value after another, as some compilers do it: as valid as torch's partial sums, and, of
many values that are alike, less exact."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

_SUMS = ("aten::sum", "aten::mean")


class Sums(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """While active, sums and means of float32 are `met`, and added up one by one where that is asked for."""

    def __init__(self, one_by_one: bool) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.one_by_one = one_by_one
        self.met = False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """The operator, or the sum in another order."""
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if func._schema.name not in _SUMS or args[0].dtype is not torch.float32 or result.dtype is not torch.float32:
            return result
        self.met = True
        if not self.one_by_one:
            return result
        given = dict(zip((argument.name for argument in func._schema.arguments), args, strict=False)) | kwargs
        return _one_by_one(args[0], given.get("dim"), result, mean=func._schema.name == "aten::mean")


def _one_by_one(x: Tensor, dim: Any, result: Tensor, mean: bool) -> Tensor:
    axes = sorted(axis % x.dim() for axis in ([dim] if isinstance(dim, int) else dim or range(x.dim())))
    rest = [axis for axis in range(x.dim()) if axis not in axes]
    rows = x.permute(*rest, *axes).reshape(-1, count := prod(x.shape[axis] for axis in axes))
    if not count:
        return result
    sums = torch.from_numpy(np.cumsum(rows.numpy(), axis=1, dtype=np.float32)[:, -1].copy())
    return (sums / count if mean else sums).reshape(result.shape)
