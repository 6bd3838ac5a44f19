"""Other spellings of `split` into given sizes. `split(int)` is left alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor

from conformance.programs.rewrites.mode import Rewrites


def as_slices(x: Tensor, sizes: Sequence[int], dim: int) -> tuple[Tensor, ...]:
    """`x[..., a:b, ...]` for each piece."""
    index: list[slice] = [slice(None)] * x.dim()
    pieces = []
    for end, size in zip(accumulate(sizes), sizes, strict=True):
        index[dim] = slice(end - size, end)
        pieces.append(x[tuple(index)])
    return tuple(pieces)


def as_tensor_split(x: Tensor, sizes: Sequence[int], dim: int) -> tuple[Tensor, ...]:
    """`x.tensor_split` at the places where one piece ends and the next begins."""
    return x.tensor_split(list(accumulate(sizes))[:-1], dim)


def as_chunk(x: Tensor, sizes: Sequence[int], dim: int) -> tuple[Tensor, ...]:
    """`x.chunk(n)` where all pieces are equal; an unequal split stays as it is."""
    return x.chunk(len(sizes), dim) if len(set(sizes)) == 1 else torch.split(x, list(sizes), dim)


SPELLINGS: dict[str, Callable[[Tensor, Sequence[int], int], tuple[Tensor, ...]]] = {
    "slice": as_slices,
    "tensor_split": as_tensor_split,
    "chunk": as_chunk,
}


def splits(spelling: str) -> Rewrites:
    """Every function that splits into sizes, in one spelling."""

    def split(
        x: Tensor,
        split_size_or_sections: Any = None,
        dim: int = 0,
        *,
        split_size: Any = None,
        split_sizes: Any = None,
    ) -> Any:
        sizes = next(s for s in (split_size_or_sections, split_size, split_sizes) if s is not None)
        return SPELLINGS[spelling](x, sizes, dim) if isinstance(sizes, (list, tuple)) else NotImplemented

    return dict.fromkeys((torch.split, Tensor.split, torch.split_with_sizes, Tensor.split_with_sizes), split)
