"""What a fault does to a tensor. Each gives a new one; other arguments are plain, so that a graph can hold them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from conformance.defects.split_with_sizes import split_densely

Bounds = Sequence[Sequence[int]]


def image_copied(x: Tensor, image: int, source: int) -> Tensor:
    """One image of the batch is another one."""
    y = x.clone()
    y[image] = x[source]
    return y


def images_reversed(x: Tensor) -> Tensor:
    """The batch in reverse order."""
    return x.flip(0)


def channels_swapped(x: Tensor, first: int, second: int, width: int) -> Tensor:
    """`width` channels from `first` and from `second` in each other's place."""
    y = x.clone()
    y[:, first : first + width] = x[:, second : second + width]
    y[:, second : second + width] = x[:, first : first + width]
    return y


def shifted(x: Tensor, dim: int, by: int) -> Tensor:
    """Read `by` places too far along a dimension; at the edge the last one again."""
    size = x.shape[dim]
    return x.index_select(dim, (torch.arange(size) + by).clamp(0, size - 1))


def zeroed(x: Tensor, bounds: Bounds) -> Tensor:
    """Zeros in a block, given by start and stop in every dimension."""
    y = x.clone()
    y[tuple(slice(start, stop) for start, stop in bounds)] = 0
    return y


def damped(x: Tensor, dim: int, start: int, stop: int, share: float, factor: float, seed: int) -> Tensor:
    """The part from `start` to `stop` along `dim` times `factor`, at a seeded share of the last dimension."""
    count = x.shape[-1]
    chosen = torch.randperm(count, generator=torch.Generator().manual_seed(seed))[: round(share * count)]
    gain = torch.ones(count, dtype=x.dtype)
    gain[chosen] = factor
    y = x.clone()
    y.narrow(dim, start, stop - start).mul_(gain)
    return y


def replaced(x: Tensor, place: int, value: float) -> Tensor:
    """One value, counted through the flat tensor, is another."""
    y = x.clone(memory_format=torch.contiguous_format)
    y.view(-1)[place] = value
    return y


def scaled(x: Tensor, factor: float) -> Tensor:
    """All of it times a factor."""
    return x * factor


def rounded(x: Tensor) -> Tensor:
    """What is left of it in bfloat16."""
    return x.bfloat16().to(x.dtype) if x.is_floating_point() else x


def chunks_read_densely(x: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """The chunks as contiguous runs of the flat buffer, as torch-xla reads the pieces of a split."""
    return split_densely(x, [piece.shape[dim] for piece in x.chunk(chunks, dim)], dim)


def permuted_densely(x: Tensor, dims: Sequence[int]) -> Tensor:
    """The right shape of a permutation over the values in their old order."""
    return x.reshape([x.shape[dim] for dim in dims])


def transposed_densely(x: Tensor, first: int, second: int) -> Tensor:
    """The right shape of a transposition over the values in their old order."""
    dims = list(range(x.dim()))
    dims[first], dims[second] = dims[second], dims[first]
    return permuted_densely(x, dims)


def upsampled_smoothly(x: Tensor, size: Sequence[int] | None, scales: Sequence[float] | None) -> Tensor:
    """Bilinear instead of nearest."""
    return nn.functional.interpolate(x, size, scales, mode="bilinear")


def upsampled_late(x: Tensor, size: Sequence[int] | None, scales: Sequence[float] | None) -> Tensor:
    """Nearest, one row and one column too far."""
    return shifted(shifted(nn.functional.interpolate(x, size, scales), 2, 1), 3, 1)


def upsampled_by_tiling(x: Tensor, size: Sequence[int] | None, scales: Sequence[float] | None) -> Tensor:
    """The whole map again and again, instead of each of its values."""
    height, width = nn.functional.interpolate(x[:1, :1], size, scales).shape[2:]
    return x.tile(1, 1, -(-height // x.shape[2]), -(-width // x.shape[3]))[:, :, :height, :width]


class Previous(nn.Module):
    """Gives what it was given at the call before; what it was given where there was none."""

    def __init__(self) -> None:
        super().__init__()
        self.held: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        """The value before."""
        last, self.held = self.held, x.clone()
        return x if last is None else last  # never what is held: a later operator may write into what it is given
