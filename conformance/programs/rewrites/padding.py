"""Padding of a volume that repeats its border, as slices that are expanded and joined."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from conformance.programs.rewrites.mode import Rewrites, along, sizes_of


def pad(x: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Any:
    """`functional.pad` with mode="replicate" along three dimensions; of rows and images, and with other modes, it is
    left alone."""
    if mode != "replicate" or len(pad) != 6 or min(pad) < 0 or x.dim() < 4:
        return NotImplemented
    sizes = sizes_of(x)
    for number, dim in enumerate((-1, -2, -3)):
        before, after = pad[2 * number], pad[2 * number + 1]
        first, last = along(x, dim, 0, 1), along(x, dim, sizes[dim] - 1, sizes[dim])
        x = torch.cat([*[first] * before, x, *[last] * after], dim)
    return x


REWRITES: Rewrites = {functional.pad: pad}
