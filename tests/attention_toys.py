"""A small attention network, spelled in three ways: products and softmax, one fused operator, numpy."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from toys import Toy

from conformance.programs.program import Program, Whole
from conformance.systems.protocol import Model


class Attention(nn.Module):
    """Over all places of an image; `how` is the name of one of its methods."""

    def __init__(self, channels: int, how: str) -> None:
        super().__init__()
        self.how = how
        self.qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.proj = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).flatten(2).transpose(1, 2).unsqueeze(1).chunk(3, -1)
        attended = getattr(self, self.how)(q * 4, k * 4, v)
        y: Tensor = self.proj(attended.squeeze(1).transpose(1, 2).reshape(x.shape))
        return y

    def math(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        scores: Tensor = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
        return scores.softmax(-1) @ v

    def sdpa(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return nn.functional.scaled_dot_product_attention(q, k, v)

    def numpy(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """What flash attention is to a tracer: code of which it sees only the result."""
        a, b, c = (x.detach().cpu().float().numpy() for x in (q, k, v))
        weights = np.exp(a @ b.swapaxes(-1, -2) / a.shape[-1] ** 0.5)
        return torch.from_numpy(weights / weights.sum(-1, keepdims=True) @ c).to(q)

    def numpy_beside(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """All that is read by it is read by something else, too, so that nothing is left out."""
        return self.numpy(q, k, v) + v


class AttentionNet(nn.Module):
    """(B, 3, H, W) to (B, 4, H / 2, W / 2)."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.SiLU(inplace=True))
        self.blocks = nn.ModuleList([nn.ModuleDict({"attn": Attention(8, how)})])
        self.head = nn.Conv2d(8, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = x + block["attn"](x)  # type: ignore[index]
        y: Tensor = self.head(x)
        return y


class TwoHeads(nn.Module):
    """Two outputs of one attention, (B, 4, H / 2, W / 2) each; parts of one tensor where they are `joined`."""

    def __init__(self, joined: bool = False) -> None:
        super().__init__()
        whole = net("math")
        self.stem, self.blocks, self.head = whole.stem, whole.blocks, whole.head
        self.other = nn.Conv2d(8, 4, 1).requires_grad_(False)
        self.joined = joined

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        x = self.stem(x)
        x = x + self.blocks[0]["attn"](x)  # type: ignore[index]
        both = self.head(x), self.other(x)
        return torch.cat(both, 1).chunk(2, 1) if self.joined else both


class MathAttention(Toy):
    """The honest one."""

    how = "math"

    def layers(self, variant: str, task: str) -> tuple[str, ...]:
        return ("stem", "blocks.0.attn", "head")

    def groups(self, variant: str, task: str) -> None:
        return None

    def build(self, variant: str, task: str) -> Model:
        return Model(net(self.how), self.layers(variant, task), f"attention-{self.how}")


class NumpyAttention(MathAttention):
    """The one that no tracer can see."""

    how = "numpy"


def net(how: str) -> AttentionNet:
    """Weights are the same however the attention is computed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return AttentionNet(how).eval().requires_grad_(False)


def program(how: str, batch: int = 2) -> Program:
    """For images of 16 x 24."""
    return Program(Whole(net(how)), (torch.rand(batch, 3, 16, 24, generator=torch.Generator().manual_seed(0)),))
