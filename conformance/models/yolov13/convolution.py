"""Convolutions, plain and depthwise separable, and the blocks that the paper builds of the latter.

Open in the paper: where the batch norm of DSConv stands (once, behind the pointwise convolution), the large kernel of
a DS-Bottleneck (7), how many of them a DS-C3k has (2).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


class Conv(nn.Module):
    """Convolution, batch norm, SiLU. `stride` divides height and width."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1, activate: bool = True
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
        norm = nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.03)
        if activate:
            # where SiLU is least bent, or the contrast of an image grows or dies from layer to layer
            nn.init.uniform_(norm.weight, 0.5, 1.0)
            nn.init.normal_(norm.bias, 0.5, 0.5)
        self.norm: nn.Module = norm
        self.activation = nn.SiLU() if activate else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.activation(self.norm(self.conv(x)))
        return y


class DSConv(nn.Module):
    """Depthwise convolution, then a pointwise one with batch norm and SiLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(inputs, inputs, kernel, stride, kernel // 2, groups=inputs, bias=False)
        self.pointwise = Conv(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.pointwise(self.depthwise(x))
        return y


class DSBottleneck(nn.Module):
    """Two DSConvs, the second with the large kernel, round which the input is added."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.small = DSConv(channels, channels, 3)
        self.large = DSConv(channels, channels, 7)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.large(self.small(x))
        return y


class DSC3k(nn.Module):
    """DS-Bottlenecks on one half of the channels, the other half past them."""

    def __init__(self, inputs: int, outputs: int, count: int = 2) -> None:
        super().__init__()
        half = outputs // 2
        self.main = Conv(inputs, half)
        self.bottlenecks = nn.Sequential(*(DSBottleneck(half) for _ in range(count)))
        self.lateral = Conv(inputs, half)
        self.join = Conv(2 * half, outputs)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.join(torch.cat([self.bottlenecks(self.main(x)), self.lateral(x)], dim=1))
        return y


class DSC3k2(nn.Module):
    """A chain of blocks, DS-C3ks or (`nested` False) DS-Bottlenecks, the output of each of which is kept.

    `expansion` is the share of the output's channels that the chain works on.
    """

    def __init__(self, inputs: int, outputs: int, count: int, nested: bool, expansion: float = 0.5) -> None:
        super().__init__()
        hidden = int(outputs * expansion)
        self.split = Conv(inputs, 2 * hidden)
        self.chain = nn.ModuleList(DSC3k(hidden, hidden) if nested else DSBottleneck(hidden) for _ in range(count))
        self.join = Conv((2 + count) * hidden, outputs)

    def forward(self, x: Tensor) -> Tensor:
        parts = list(self.split(x).chunk(2, dim=1))
        for block in self.chain:
            parts.append(block(parts[-1]))
        y: Tensor = self.join(torch.cat(parts, dim=1))
        return y


def fuse(module: nn.Module) -> None:
    """Fold every batch norm into its convolution, as it is deployed. The module must be in eval mode."""
    for conv in module.modules():
        if isinstance(conv, Conv) and isinstance(conv.norm, nn.BatchNorm2d):
            conv.conv = fuse_conv_bn_eval(conv.conv, conv.norm)
            conv.norm = nn.Identity()
