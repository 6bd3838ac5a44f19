"""Max-pooling as the largest of shifted slices: a window may be dilated, or reach beyond the image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from conformance.programs.rewrites.mode import Rewrite, Rewrites, along, fixed, repeated, sizes_of


@dataclass(frozen=True)
class _Windows:
    """Those along one dimension of `size` rows."""

    size: int
    kernel: int
    stride: int
    padding: int
    dilation: int
    ceil: bool

    @property
    def length(self) -> int:
        return self.dilation * (self.kernel - 1) + 1

    @property
    def count(self) -> int:
        """How many there are; the last must begin within the image or before it."""
        room = self.size + 2 * self.padding - self.length
        count = -(-room // self.stride) + 1 if self.ceil else room // self.stride + 1
        beyond = (count - 1) * self.stride >= self.size + self.padding
        return count - 1 if self.ceil and beyond else count

    @property
    def possible(self) -> bool:
        """Whether PyTorch takes them."""
        return self.count > 0 and self.stride > 0 and 0 <= 2 * self.padding <= self.kernel

    @property
    def after(self) -> int:
        """Rows that are missing behind the last."""
        return (self.count - 1) * self.stride + self.length - self.size - self.padding


def max_pool(dimensions: int) -> Rewrite:
    """Of rows, images or volumes. Where no window is dilated or reaches beyond the image, it is left alone."""

    def pool(
        x: Tensor,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: bool = False,
        return_indices: bool = False,
    ) -> Any:
        sizes = fixed(sizes_of(x)[-dimensions:])
        if not sizes or x.dim() <= dimensions or return_indices or not x.is_floating_point():
            return NotImplemented
        stride = kernel_size if stride is None or stride == () or stride == [] else stride
        given = [repeated(value, dimensions) for value in (kernel_size, stride, padding, dilation)]
        axes = [_Windows(*one) for one in zip(sizes, *given, [ceil_mode] * dimensions, strict=True)]
        special = any(axis.dilation != 1 or axis.length > axis.size + 2 * axis.padding for axis in axes)
        return _pooled(x, axes) if special and all(axis.possible for axis in axes) else NotImplemented

    return pool


def _pooled(x: Tensor, axes: Sequence[_Windows]) -> Tensor:
    for dim, axis in enumerate(axes, -len(axes)):
        before_and_after = [0, 0] * (-dim - 1) + [axis.padding, max(axis.after, 0)]
        x = functional.pad(x, before_and_after, value=float("-inf")) if any(before_and_after) else x
        last = (axis.count - 1) * axis.stride + 1
        largest = along(x, dim, 0, last, axis.stride)
        for start in range(axis.dilation, axis.length, axis.dilation):
            largest = torch.maximum(largest, along(x, dim, start, start + last, axis.stride))
        x = largest
    return x


REWRITES: Rewrites = {
    **dict.fromkeys((functional.max_pool1d, torch.max_pool1d), max_pool(1)),
    **dict.fromkeys((functional.max_pool2d, torch.max_pool2d), max_pool(2)),
    **dict.fromkeys((functional.max_pool3d, torch.max_pool3d), max_pool(3)),
}
