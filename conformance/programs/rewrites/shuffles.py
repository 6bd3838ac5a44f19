"""Shuffled channels, and pixels that become channels, by view, permute and reshape."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from conformance.programs.rewrites.mode import Rewrites, fixed, sizes_of


def channel_shuffle(x: Tensor, groups: int) -> Any:
    """`torch.channel_shuffle`: the channels of all groups in turn."""
    channels = sizes_of(x)[1] if x.dim() > 2 else 0
    if type(channels) is not int or not channels or groups < 1 or channels % groups:
        return NotImplemented
    return torch.unflatten(x, 1, (groups, channels // groups)).transpose(1, 2).flatten(1, 2)


def pixel_unshuffle(x: Tensor, downscale_factor: int) -> Any:
    """`torch.pixel_unshuffle`: a channel for each pixel of a block."""
    sizes, factor = fixed(sizes_of(x)[-2:]), downscale_factor
    if sizes is None or x.dim() < 3 or factor < 1 or any(size % factor for size in sizes):
        return NotImplemented
    rows, columns = sizes[-2] // factor, sizes[-1] // factor
    across = torch.unflatten(x, -1, (columns, factor))
    blocks = torch.unflatten(across, -3, (rows, factor))  # ..., rows, factor, columns, factor
    return blocks.movedim((-3, -1), (-4, -3)).flatten(-5, -3)


SHUFFLE: Rewrites = dict.fromkeys((torch.channel_shuffle, torch.native_channel_shuffle), channel_shuffle)
UNSHUFFLE: Rewrites = {torch.pixel_unshuffle: pixel_unshuffle}
