"""FullPAD: what HyperACE found goes to every stage of the network, each through a tunnel of its own.

Open in the paper: the gate's first value, which is no matter of training here (0.5; shut, HyperACE would have no
effect), and where the channels are matched (a pointwise convolution behind the resizing).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from conformance.models.yolov13.convolution import Conv


class Spread(nn.Module):
    """HyperACE's output (B, C, H, W) at the size and channels of a scale: level 3 is twice the size, 5 half."""

    def __init__(self, inputs: int, outputs: int, level: int) -> None:
        super().__init__()
        self.level = level
        self.match = Conv(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        if self.level == 3:
            x = functional.interpolate(x, scale_factor=2.0, mode="nearest")
        elif self.level == 5:
            x = functional.avg_pool2d(x, 2)
        y: Tensor = self.match(x)
        return y


class Tunnel(nn.Module):
    """A stage's features and, gated, what was spread to it."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Parameter(torch.tensor(0.5))

    def forward(self, features: Tensor, spread: Tensor) -> Tensor:
        return features + self.gate * spread
