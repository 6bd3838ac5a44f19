"""Writing where a mask says, without knowing how many places these are: `x[mask] = value` as torch.where."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from conformance.programs.rewrites.mode import Rewrites, sizes_of

_WHOLE = slice(None)


def set_item(x: Tensor, index: Any, value: Any) -> Any:
    """`x[mask] = value`, `x[:, mask] = value`: of one mask and whole dimensions, and a value that is the same at all
    places; what has a value for each place is left alone."""
    mask = _broadcast(x, _entries(x, index))
    filled = None if mask is None else _filled(x, *mask, value)
    if filled is None:
        return NotImplemented
    x.copy_(filled)
    return None


def index_put(x: Tensor, indices: Sequence[Any], values: Tensor, accumulate: bool = False) -> Any:
    """`torch.index_put`, the same as a function."""
    of_one_kind = (values.dtype, values.device) == (x.dtype, x.device) and not accumulate  # else torch says why not
    mask = None if not of_one_kind else _broadcast(x, list(indices))
    filled = None if mask is None else _filled(x, *mask, values)
    return NotImplemented if filled is None else filled


def index_put_(x: Tensor, indices: Sequence[Any], values: Tensor, accumulate: bool = False) -> Any:
    """`torch.index_put_`, in place."""
    filled = index_put(x, indices, values, accumulate)
    return NotImplemented if filled is NotImplemented else x.copy_(filled)


def _entries(x: Tensor, index: Any) -> list[Any]:
    """What an index says of each dimension, without the dots."""
    entries = list(index) if isinstance(index, tuple) else [index]
    dots = [place for place, entry in enumerate(entries) if entry is Ellipsis]
    if len(dots) != 1:
        return entries
    said = sum(entry.dim() if isinstance(entry, Tensor) else 1 for entry in entries if entry is not Ellipsis)
    return entries[: dots[0]] + [_WHOLE] * (x.dim() - said) + entries[dots[0] + 1 :]


def _broadcast(x: Tensor, entries: list[Any]) -> tuple[Tensor, int] | None:
    """The one mask among whole dimensions, in a shape that is broadcast to the tensor, and how many dimensions come
    behind it; None where the index is another."""
    places = [place for place, entry in enumerate(entries) if isinstance(entry, Tensor)]
    if len(places) != 1 or any(entry != _WHOLE for place, entry in enumerate(entries) if place not in places):
        return None
    mask, before = entries[places[0]], places[0]
    behind = x.dim() - before - mask.dim()
    if mask.dtype != torch.bool or mask.dim() < 1 or behind < len(entries) - before - 1:
        return None
    if sizes_of(mask) != sizes_of(x)[before : before + mask.dim()]:
        return None
    mask = mask.to(x.device)
    for _ in range(behind):
        mask = mask.unsqueeze(-1)
    return mask, behind


def _filled(x: Tensor, mask: Tensor, behind: int, value: Any) -> Tensor | None:
    """The tensor with the value where the mask says; None where there is a value for each place."""
    if not isinstance(value, Tensor):
        if not isinstance(value, (int, float)):
            return None
        value = torch.full((), value, dtype=x.dtype, device=x.device)
    if value.dim() == behind + 1 and sizes_of(value)[0] == 1:
        value = value.squeeze(0)
    if value.dim() > behind:
        return None
    return torch.where(mask, value.to(x), x)


REWRITES: Rewrites = {
    Tensor.__setitem__: set_item,
    **dict.fromkeys((torch.index_put, Tensor.index_put), index_put),
    **dict.fromkeys((torch.index_put_, Tensor.index_put_), index_put_),
}
