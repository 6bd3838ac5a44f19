"""HyperACE: correlations of many places at once, across the scales.

The places of a feature map are vertices; a hyperedge binds any number of them. Its prototype is learned and moved by
what the whole image holds; the likeness of a vertex to a prototype, through a softmax, is how far it takes part.

Open in the paper, or chosen because seeded weights have to be alive: the softmax is over the hyperedges of a vertex,
and a hyperedge is the mean of its vertices, weighted by how far they take part (a plain sum grows with the image;
a softmax over the vertices leaves each with 1 / vertices of what its hyperedges hold); the activation (GELU); the
channels of a head (32); how B3 and B5 are resized to B4 (mean of 2 x 2, nearest); half the channels in each of the
three parts; two C3AH.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from conformance.models.yolov13.convolution import Conv, DSC3k

HEAD = 32
BRANCHES = 2


class HyperedgeGeneration(nn.Module):
    """(B, vertices, C) to (B, vertices, hyperedges): how far a vertex takes part in each; it sums to 1 over them."""

    def __init__(self, channels: int, hyperedges: int) -> None:
        super().__init__()
        self.heads = channels // HEAD
        # so far apart that seeded vertices take part in unlike measure
        self.prototypes = nn.Parameter(torch.randn(hyperedges, channels) * 4 * self.heads**0.5)
        self.offsets = nn.Linear(2 * channels, hyperedges * channels)
        self.query = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        context = torch.cat([x.mean(dim=1), x.amax(dim=1)], dim=1)
        prototypes = self.prototypes + self.offsets(context).unflatten(1, self.prototypes.shape)
        query = self.query(x).unflatten(2, (self.heads, HEAD)).transpose(1, 2)
        key = prototypes.unflatten(2, (self.heads, HEAD)).permute(0, 2, 3, 1)
        likeness = query @ key * HEAD**-0.5  # (B, heads, vertices, hyperedges)
        return likeness.mean(dim=1).softmax(dim=2)  # type: ignore[no-any-return]


class HypergraphConvolution(nn.Module):
    """(B, C, H, W) to the same: from the vertices to the hyperedges, and back."""

    def __init__(self, channels: int, hyperedges: int) -> None:
        super().__init__()
        self.generate = HyperedgeGeneration(channels, hyperedges)
        self.of_hyperedges = nn.Linear(channels, channels)
        self.of_vertices = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        vertices = x.flatten(2).transpose(1, 2)
        part = self.generate(vertices)
        gathered = part.transpose(1, 2) @ vertices / part.sum(dim=1).unsqueeze(2)
        hyperedges = functional.gelu(self.of_hyperedges(gathered))
        spread = functional.gelu(self.of_vertices(part @ hyperedges))
        return spread.transpose(1, 2).reshape(x.shape)


class C3AH(nn.Module):
    """Hypergraph convolution with a lateral branch past it."""

    def __init__(self, channels: int, hyperedges: int) -> None:
        super().__init__()
        self.main = Conv(channels, channels)
        self.hypergraph = HypergraphConvolution(channels, hyperedges)
        self.lateral = Conv(channels, channels)
        self.join = Conv(2 * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.join(torch.cat([self.hypergraph(self.main(x)), self.lateral(x)], dim=1))
        return y


class Fusion(nn.Module):
    """The scales B3, B4 and B5 at the size of B4, mixed by a pointwise convolution."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.mix = Conv(inputs, outputs)

    def forward(self, b3: Tensor, b4: Tensor, b5: Tensor) -> Tensor:
        resized = [functional.avg_pool2d(b3, 2), b4, functional.interpolate(b5, scale_factor=2.0, mode="nearest")]
        y: Tensor = self.mix(torch.cat(resized, dim=1))
        return y


class HyperACE(nn.Module):
    """B3, B4, B5 to (B, C, H, W) at the size of B4.

    A third of the channels goes through C3AHs side by side (high order), a third through DS-C3ks (low order), and a
    third past.
    """

    def __init__(self, inputs: tuple[int, int, int], channels: int, hyperedges: int, count: int) -> None:
        super().__init__()
        self.part = channels // 2
        self.fusion = Fusion(sum(inputs), channels)
        self.split = Conv(channels, 3 * self.part)
        self.high = nn.ModuleList(C3AH(self.part, hyperedges) for _ in range(BRANCHES))
        self.low = nn.Sequential(*(DSC3k(self.part, self.part) for _ in range(count)))
        self.join = Conv((BRANCHES + 2) * self.part, channels)

    def forward(self, b3: Tensor, b4: Tensor, b5: Tensor) -> Tensor:
        parts = self.split(self.fusion(b3, b4, b5)).split([self.part] * 3, dim=1)
        high, low, past = parts
        y: Tensor = self.join(torch.cat([*(branch(high) for branch in self.high), self.low(low), past], dim=1))
        return y
