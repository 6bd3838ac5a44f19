"""A2C2f, which YOLOv13 takes over from YOLO12 (arXiv 2502.12524): blocks of area attention, aggregated.

Open in the papers: the channels of a head (32), the gate of the residual in the large scales, which starts almost
shut there and is open here (1), or a fault in any of its blocks would be as small.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from conformance.models.area_attention import AreaAttention
from conformance.models.yolov13.convolution import Conv

if TYPE_CHECKING:
    from conformance.models.attention import Attend

HEAD = 32


class AttentionBlock(nn.Module):
    """Area attention, then two pointwise convolutions; the input is added round each."""

    def __init__(self, channels: int, area: int, expansion: float, attend: Attend) -> None:
        super().__init__()
        self.attention = AreaAttention(
            qkv=Conv(channels, 3 * channels, activate=False),
            position=Conv(channels, channels, 7, groups=channels, activate=False),
            projection=Conv(channels, channels, activate=False),
            heads=channels // HEAD,
            area=area,
            attend=attend,
        )
        hidden = int(channels * expansion)
        self.mlp = nn.Sequential(Conv(channels, hidden), Conv(hidden, channels, activate=False))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(x)
        y: Tensor = x + self.mlp(x)
        return y


class A2C2f(nn.Module):
    """A chain of pairs of attention blocks, the output of each of which is kept; `residual` adds the input, gated."""

    def __init__(
        self, channels: int, count: int, area: int, expansion: float, residual: bool, attend: Attend
    ) -> None:
        super().__init__()
        hidden = channels // 2
        self.reduce = Conv(channels, hidden)
        self.chain = nn.ModuleList(
            nn.Sequential(*(AttentionBlock(hidden, area, expansion, attend) for _ in range(2))) for _ in range(count)
        )
        self.join = Conv((1 + count) * hidden, channels)
        self.gate = nn.Parameter(torch.ones(channels, 1, 1)) if residual else None

    def forward(self, x: Tensor) -> Tensor:
        parts = [self.reduce(x)]
        for pair in self.chain:
            parts.append(pair(parts[-1]))
        y: Tensor = self.join(torch.cat(parts, dim=1))
        return y if self.gate is None else x + self.gate * y
