"""The whole network: YOLO12's stages with separable blocks, HyperACE over its last three, FullPAD round the neck.

Open in the paper: the widths and depths of the stages, which are YOLO12's; two DSConvs for the last two halvings,
plain convolutions for the others; that what a tunnel gives goes on everywhere, also down the neck; one tunnel within
the neck.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from conformance.models.yolov13.attention import A2C2f
from conformance.models.yolov13.convolution import Conv, DSC3k2, DSConv
from conformance.models.yolov13.fullpad import Spread, Tunnel
from conformance.models.yolov13.head import Head
from conformance.models.yolov13.hypergraph import HyperACE

if TYPE_CHECKING:
    from conformance.models.attention import Attend


@dataclass(frozen=True)
class Scale:
    """Depth and width multipliers, the largest width before it is multiplied, hyperedges; `large` scales have
    attention blocks with a residual and a narrower MLP."""

    depth: float
    width: float
    widest: int
    hyperedges: int
    large: bool = False

    def channels(self, channels: int) -> int:
        """A stage's channels at this scale, a multiple of 8."""
        return math.ceil(min(channels, self.widest) * self.width / 8) * 8

    def count(self, count: int) -> int:
        """A stage's blocks at this scale."""
        return max(1, round(count * self.depth))


SCALES = {
    "n": Scale(0.5, 0.25, 1024, 4),
    "s": Scale(0.5, 0.5, 1024, 8),
    "l": Scale(1.0, 1.0, 512, 8, large=True),
    "x": Scale(1.0, 1.5, 512, 12, large=True),
}


class Network(nn.Module):
    """(B, 3, H, W), sides divisible by 32, to (B, 4 + classes, anchors); see `Head`."""

    def __init__(self, scale: Scale, attend: Attend, classes: int = 80) -> None:
        super().__init__()
        c1, c2, c3, c4, c5 = (scale.channels(c) for c in (64, 128, 256, 512, 1024))
        two, four = scale.count(2), scale.count(4)
        expansion = 1.2 if scale.large else 2.0
        self.down1 = Conv(3, c1, 3, stride=2)
        self.down2 = Conv(c1, c2, 3, stride=2)
        self.stage2 = DSC3k2(c2, c3, two, nested=False, expansion=0.25)
        self.down3 = Conv(c3, c3, 3, stride=2)
        self.stage3 = DSC3k2(c3, c4, two, nested=False, expansion=0.25)
        self.down4 = DSConv(c4, c4, 3, stride=2)
        self.stage4 = A2C2f(c4, four, 4, expansion, scale.large, attend)
        self.down5 = DSConv(c4, c5, 3, stride=2)
        self.stage5 = A2C2f(c5, four, 1, expansion, scale.large, attend)
        self.hyperace = HyperACE((c4, c4, c5), c4, scale.hyperedges, two)
        self.spread3 = Spread(c4, c4, level=3)
        self.spread4 = Spread(c4, c4, level=4)
        self.spread5 = Spread(c4, c5, level=5)
        self.into_neck3, self.into_neck4, self.into_neck5 = Tunnel(), Tunnel(), Tunnel()
        self.up4 = DSC3k2(c5 + c4, c4, two, nested=True)
        self.in_neck4 = Tunnel()
        self.up3 = DSC3k2(c4 + c4, c3, two, nested=True)
        self.narrow3 = Conv(c4, c3)
        self.into_head3 = Tunnel()
        self.halve3 = Conv(c3, c3, 3, stride=2)
        self.neck4 = DSC3k2(c3 + c4, c4, two, nested=True)
        self.into_head4 = Tunnel()
        self.halve4 = Conv(c4, c4, 3, stride=2)
        self.neck5 = DSC3k2(c4 + c5, c5, two, nested=True)
        self.into_head5 = Tunnel()
        self.head = Head((c3, c4, c5), classes)

    def forward(self, x: Tensor) -> Tensor:
        b3 = self.stage3(self.down3(self.stage2(self.down2(self.down1(x)))))
        b4 = self.stage4(self.down4(b3))
        b5 = self.stage5(self.down5(b4))
        found = self.hyperace(b3, b4, b5)
        h3, h4, h5 = self.spread3(found), self.spread4(found), self.spread5(found)
        b3, b4, b5 = self.into_neck3(b3, h3), self.into_neck4(b4, h4), self.into_neck5(b5, h5)
        p4 = self.in_neck4(self.up4(torch.cat([_doubled(b5), b4], dim=1)), h4)
        p3 = self.into_head3(self.up3(torch.cat([_doubled(p4), b3], dim=1)), self.narrow3(h3))
        p4 = self.into_head4(self.neck4(torch.cat([self.halve3(p3), p4], dim=1)), h4)
        p5 = self.into_head5(self.neck5(torch.cat([self.halve4(p4), b5], dim=1)), h5)
        y: Tensor = self.head(p3, p4, p5)
        return y


def _doubled(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2.0, mode="nearest")
