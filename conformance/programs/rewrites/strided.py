"""as_strided as one gather of the flat tensor. What comes out is a copy, no view."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor

from conformance.programs.rewrites.mode import Rewrites, fixed, sizes_of


def as_strided(x: Tensor, size: Sequence[int], stride: Sequence[int], storage_offset: int | None = None) -> Any:
    """`torch.as_strided` of a tensor that is all of its memory, in order; of others it is left alone."""
    sizes, wanted, steps = fixed(sizes_of(x)), fixed(size), fixed(stride)
    if not sizes or not wanted or steps is None or not x.is_contiguous() or x.storage_offset() != 0:
        return NotImplemented
    start = storage_offset or 0
    last = start + sum((length - 1) * step for length, step in zip(wanted, steps, strict=True))
    if min(wanted) < 1 or last >= prod(sizes):
        return NotImplemented
    places = torch.full((1,) * len(wanted), start, device=x.device)
    for dim, (length, step) in enumerate(zip(wanted, steps, strict=True)):
        row = torch.arange(length, device=x.device) * step
        places = places + row.view((-1,) + (1,) * (len(wanted) - dim - 1))
    return x.flatten().index_select(0, places.flatten()).view(wanted)


REWRITES: Rewrites = dict.fromkeys((torch.as_strided, Tensor.as_strided), as_strided)
