"""Other spellings of `split` into given sizes, put in its place while a module runs or is captured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

_SPLITS: set[Any] = {
    torch.split,
    Tensor.split,
    torch.split_with_sizes,
    Tensor.split_with_sizes,
}


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


class SplitAs(TorchFunctionMode):
    """While active, a split into a list of sizes is done in another spelling. `split(int)` is left alone."""

    def __init__(self, spelling: str) -> None:
        super().__init__()
        self.respell = SPELLINGS[spelling]

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func in _SPLITS:
            x, sizes, dim = _arguments(*args, **(kwargs or {}))
            if not isinstance(sizes, int):
                return self.respell(x, sizes, dim)
        return func(*args, **(kwargs or {}))


def _arguments(
    x: Tensor,
    split_size_or_sections: Any = None,
    dim: int = 0,
    *,
    split_size: Any = None,
    split_sizes: Any = None,
) -> tuple[Tensor, Any, int]:
    sizes = next(s for s in (split_size_or_sections, split_size, split_sizes) if s is not None)
    return x, sizes, dim
