"""What resizes along one dimension: a product with a constant matrix, rows that are picked or repeated."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from conformance.programs.rewrites.coefficients import Matrix
from conformance.programs.rewrites.mode import constant


def multiplied(x: Tensor, dim: int, matrix: Matrix) -> Tensor:
    """The product with a matrix along a dimension, which is counted from the end."""
    weights = constant(matrix, torch.float64).to(x)
    return functional.linear(x.transpose(dim, -1), weights).transpose(dim, -1)


def in_single(x: Tensor, compute: Callable[[Tensor], Tensor]) -> Tensor:
    """What is computed of a tensor, in its dtype; in float32 and rounded once where that has fewer bits, as PyTorch's
    kernels do it."""
    wide = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
    return compute(wide).to(x.dtype)


def picked(x: Tensor, dim: int, before: int, rows: Sequence[int]) -> Tensor:
    """Some of the rows `before`, along a dimension that is counted from the end; where each stands there equally
    often, one after the other, they are repeated."""
    times = len(rows) // before
    if list(rows) != [row for row in range(before) for _ in range(times)]:
        return x.index_select(dim, constant(list(rows)).to(x.device))
    dim %= x.dim()
    shape = [-1] * (x.dim() + 1)
    shape[dim + 1] = times
    return x.unsqueeze(dim + 1).expand(shape).flatten(dim, dim + 1)
