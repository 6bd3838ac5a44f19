"""Transposed convolutions as plain ones, of an image between whose pixels zeros were put by hand."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from conformance.programs.rewrites.mode import Rewrite, Rewrites, along, fixed, repeated, sizes_of

_PLAIN: dict[int, Any] = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}


def conv_transpose(dimensions: int) -> Rewrite:
    """Of each channel alone, or with both a stride and a dilation; others are left alone."""

    def convolve(
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None = None,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        dilation: Any = 1,
    ) -> Any:
        sizes = fixed(sizes_of(x)[1:])
        if sizes is None or len(sizes) != dimensions + 1:
            return NotImplemented
        strides, dilations = repeated(stride, dimensions), repeated(dilation, dimensions)
        twice = any(one != 1 for one in strides) and any(one != 1 for one in dilations)
        if not (twice or groups == sizes[0] > 1):
            return NotImplemented
        paddings, more = repeated(padding, dimensions), repeated(output_padding, dimensions)
        kernel, sides = sizes_of(weight)[2:], []
        for axis in reversed(range(dimensions)):
            around = dilations[axis] * (kernel[axis] - 1) - paddings[axis]
            sides += [around, around + more[axis]]
            x = _spread(x, axis - dimensions, sizes[1 + axis], strides[axis])
        return _PLAIN[dimensions](
            functional.pad(x, sides), _turned(weight, groups, dimensions), bias, dilation=dilations, groups=groups
        )

    return convolve


def _spread(x: Tensor, dim: int, size: int, stride: int) -> Tensor:
    """The rows along a dimension with `stride` - 1 rows of zeros between them."""
    if stride == 1:
        return x
    dim %= x.dim()
    apart = functional.pad(x.unsqueeze(dim + 1), [0, 0] * (x.dim() - dim - 1) + [0, stride - 1])
    return along(apart.flatten(dim, dim + 1), dim, 0, (size - 1) * stride + 1)


def _turned(weight: Tensor, groups: int, dimensions: int) -> Tensor:
    """The weights of the plain convolution: turned round, with inputs and outputs of each group in each other's
    place."""
    turned = torch.unflatten(weight.flip([*range(2, 2 + dimensions)]), 0, (groups, sizes_of(weight)[0] // groups))
    return turned.transpose(1, 2).flatten(0, 1)


REWRITES: Rewrites = {
    torch.conv_transpose1d: conv_transpose(1),
    torch.conv_transpose2d: conv_transpose(2),
    torch.conv_transpose3d: conv_transpose(3),
}
