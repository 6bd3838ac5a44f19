"""An architecture of a package, before any weights are given to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Architecture:
    """A network as its package makes it: float32, for inference, without gradients, constructor's weights seeded.

    `resolution` is its native height and width in pixels; `fixed` where it takes no other. It is given images of
    `channels`, of mean 0 and deviation 1 where they are `normalised`, else of 0 to 1.
    """

    module: nn.Module
    resolution: tuple[int, int]
    fixed: bool = False
    channels: int = 3
    normalised: bool = True
