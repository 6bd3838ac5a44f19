"""Windows of an image as shifted slices, stacked: F.unfold and Tensor.unfold. What comes out is a copy, no view."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from conformance.programs.rewrites.mode import Rewrites, along, fixed, repeated, sizes_of


def unfold_image(x: Tensor, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Any:
    """`functional.unfold`: (B, C, H, W), or without a batch, to a column of values for each window."""
    sizes = fixed(sizes_of(x)[-2:])
    if sizes is None or x.dim() not in (3, 4):
        return NotImplemented
    (kh, kw), (dh, dw), (ph, pw), (sh, sw) = (repeated(one, 2) for one in (kernel_size, dilation, padding, stride))
    rows = (sizes[-2] + 2 * ph - dh * (kh - 1) - 1) // sh
    columns = (sizes[-1] + 2 * pw - dw * (kw - 1) - 1) // sw
    if rows < 0 or columns < 0:
        return NotImplemented
    padded = functional.pad(x, (pw, pw, ph, ph)) if ph or pw else x
    pieces = [
        along(along(padded, -2, top, top + rows * sh + 1, sh), -1, left, left + columns * sw + 1, sw)
        for top in range(0, kh * dh, dh)
        for left in range(0, kw * dw, dw)
    ]
    return torch.stack(pieces, -3).flatten(-2).flatten(-3, -2)


def unfold(x: Tensor, dimension: int, size: int, step: int) -> Any:
    """`Tensor.unfold`: the windows along a dimension, their values last."""
    length = sizes_of(x)[dimension] if x.dim() else 0
    if type(length) is not int or step < 1 or not 0 < size <= length:
        return NotImplemented
    last = (length - size) // step * step + 1
    return torch.stack([along(x, dimension, start, start + last, step) for start in range(size)], -1)


REWRITES: Rewrites = {functional.unfold: unfold_image, Tensor.unfold: unfold}
