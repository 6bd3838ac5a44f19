"""Spellings of one computation: on any target they have to agree with each other."""

# mypy: allow-untyped-calls, no-warn-return-any

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from conformance.operators.samples import Sample
from conformance.programs.program import tensors

Spelling = Callable[[Tensor], object]
_SHAPE = (2, 8, 6, 10)

_MOVING: Mapping[str, Mapping[str, Spelling]] = {
    "halves": {
        "chunk": lambda x: x.chunk(2, 1),
        "split": lambda x: x.split(4, 1),
        "split_with_sizes": lambda x: x.split([4, 4], 1),
        "tensor_split": lambda x: x.tensor_split(2, 1),
        "slice": lambda x: (x[:, :4], x[:, 4:]),
        "narrow": lambda x: (x.narrow(1, 0, 4), x.narrow(1, 4, 4)),
        "unflatten": lambda x: x.unflatten(1, (2, 4)).unbind(1),
        "index_select": lambda x: tuple(x.index_select(1, _range(x, i, i + 4)) for i in (0, 4)),
    },
    "unequal parts": {
        "split_with_sizes": lambda x: x.split([3, 5], 1),
        "tensor_split": lambda x: x.tensor_split([3], 1),
        "slice": lambda x: (x[:, :3], x[:, 3:]),
        "narrow": lambda x: (x.narrow(1, 0, 3), x.narrow(1, 3, 5)),
    },
    "unequal parts of the last dimension": {
        "split_with_sizes": lambda x: x.split([3, 7], -1),
        "slice": lambda x: (x[..., :3], x[..., 3:]),
        "narrow": lambda x: (x.narrow(-1, 0, 3), x.narrow(-1, 3, 7)),
    },
    "tokens": {
        "flatten, transpose": lambda x: x.flatten(2).transpose(1, 2),
        "permute, reshape": lambda x: x.permute(0, 2, 3, 1).reshape(2, 60, 8),
        "movedim, flatten": lambda x: x.movedim(1, -1).flatten(1, 2),
        "view, mT": lambda x: x.view(2, 8, 60).mT,
    },
    "heads": {
        "unflatten, permute": lambda x: x.flatten(2).mT.unflatten(-1, (2, 4)).permute(0, 2, 1, 3),
        "view, permute": lambda x: x.view(2, 2, 4, 60).permute(0, 1, 3, 2),
        "reshape, transpose": lambda x: x.flatten(2).mT.reshape(2, 60, 2, 4).transpose(1, 2),
        "chunk, stack": lambda x: torch.stack(x.flatten(2).mT.chunk(2, -1), 1),
    },
    "pixel shuffle": {
        "pixel_shuffle": lambda x: F.pixel_shuffle(x, 2),
        "view, permute": lambda x: x.view(2, 2, 2, 2, 6, 10).permute(0, 1, 4, 2, 5, 3).reshape(2, 2, 12, 20),
    },
    "space to depth": {
        "pixel_unshuffle": lambda x: F.pixel_unshuffle(x, 2),
        "slices": lambda x: torch.stack([x[..., i::2, j::2] for i in (0, 1) for j in (0, 1)], 2).flatten(1, 2),
        "view, permute": lambda x: x.view(2, 8, 3, 2, 5, 2).permute(0, 1, 3, 5, 2, 4).reshape(2, 32, 3, 5),
    },
    "channel shuffle": {
        "channel_shuffle": lambda x: F.channel_shuffle(x, 2),
        "view, transpose": lambda x: x.view(2, 2, 4, 6, 10).transpose(1, 2).flatten(1, 2),
        "index": lambda x: x[:, [0, 4, 1, 5, 2, 6, 3, 7]],
    },
    "roll": {
        "roll": lambda x: x.roll((2, -3), (2, 3)),
        "cat": lambda x: (y := torch.cat([x[:, :, -2:], x[:, :, :-2]], 2), torch.cat([y[..., 3:], y[..., :3]], 3))[1],
        "index": lambda x: x[:, :, (_range(x, 6) - 2) % 6][..., (_range(x, 10) + 3) % 10],
    },
    "mirror": {
        "flip": lambda x: x.flip(3),
        "index_select": lambda x: x.index_select(3, _range(x, 9, -1, -1)),
        "gather": lambda x: x.gather(3, _range(x, 9, -1, -1).expand(2, 8, 6, 10)),
    },
    "border of zeros": {
        "pad": lambda x: F.pad(x, (1, 2, 3, 4)),
        "cat": lambda x: torch.cat(
            [x.new_zeros(2, 8, 3, 13), torch.cat([x.new_zeros(2, 8, 6, 1), x, x.new_zeros(2, 8, 6, 2)], 3),
             x.new_zeros(2, 8, 4, 13)], 2
        ),
        "write": lambda x: (y := x.new_zeros(2, 8, 13, 13), y[:, :, 3:9, 1:11].copy_(x), y)[2],
    },
    "twice as large": {
        "interpolate": lambda x: F.interpolate(x, scale_factor=2.0, mode="nearest"),
        "repeat_interleave": lambda x: x.repeat_interleave(2, 2).repeat_interleave(2, 3),
        "expand": lambda x: x[:, :, :, None, :, None].expand(-1, -1, -1, 2, -1, 2).reshape(2, 8, 12, 20),
        "index": lambda x: x[:, :, _range(x, 12) // 2][..., _range(x, 20) // 2],
    },
    "largest of a window": {
        "max_pool2d": lambda x: F.max_pool2d(x, 2),
        "amax": lambda x: x.view(2, 8, 3, 2, 5, 2).amax((3, 5)),
        "maximum": lambda x: torch.maximum(
            torch.maximum(x[..., ::2, ::2], x[..., 1::2, ::2]), torch.maximum(x[..., ::2, 1::2], x[..., 1::2, 1::2])
        ),
        "unfold": lambda x: x.unfold(2, 2, 2).unfold(3, 2, 2).flatten(-2).amax(-1),
    },
    "largest": {
        "amax": lambda x: x.amax(1),
        "max": lambda x: x.max(1).values,
        "topk": lambda x: x.topk(1, 1).values[:, 0],
        "sort": lambda x: x.sort(1, descending=True).values[:, 0],
    },
    "stack": {
        "stack": lambda x: torch.stack([x, x.flip(1)], 2),
        "cat": lambda x: torch.cat([x.unsqueeze(2), x.flip(1).unsqueeze(2)], 2),
    },
    "limits": {
        "relu6": F.relu6,
        "clamp": lambda x: x.clamp(0, 6),
        "minimum": lambda x: x.relu().minimum(x.new_tensor(6.0)),
        "hardtanh": lambda x: F.hardtanh(x, 0, 6),
    },
    "where": {
        "where": lambda x: torch.where(x > 0, x, x.flip(1)),
        "masked_fill": lambda x: x.masked_fill(x <= 0, 0) + x.flip(1).masked_fill(x > 0, 0),
    },
}  # fmt: skip

_W = torch.linspace(-1, 1, 6 * 8).sin().view(6, 8)
_K = torch.tensor([0.25, 0.75, 0.75, 0.25])

_COMPUTING: Mapping[str, Mapping[str, Spelling]] = {
    "convolution of one pixel": {
        "conv2d": lambda x: F.conv2d(x, _w(x)[:, :, None, None]),
        "linear": lambda x: F.linear(x.permute(0, 2, 3, 1), _w(x)).permute(0, 3, 1, 2),
        "matmul": lambda x: (_w(x) @ x.flatten(2)).view(2, 6, 6, 10),
        "einsum": lambda x: torch.einsum("oc,bchw->bohw", _w(x), x),
        "bmm": lambda x: torch.bmm(_w(x).expand(2, 6, 8), x.flatten(2)).view(2, 6, 6, 10),
    },
    "bilinear by two": {
        "interpolate": lambda x: F.interpolate(x, scale_factor=2.0, mode="bilinear"),
        "conv_transpose2d": lambda x: F.conv_transpose2d(
            F.pad(x, (1,) * 4, "replicate"), (_K[:, None] * _K).to(x).expand(8, 1, 4, 4), None, 2, 3, groups=8
        ),
    },
    "mean of a window": {
        "avg_pool2d": lambda x: F.avg_pool2d(x, 2),
        "conv2d": lambda x: F.conv2d(x, x.new_full((8, 1, 2, 2), 0.25), stride=2, groups=8),
        "mean": lambda x: x.view(2, 8, 3, 2, 5, 2).mean((3, 5)),
    },
    "mean of an image": {
        "mean": lambda x: x.mean((2, 3)),
        "adaptive_avg_pool2d": lambda x: F.adaptive_avg_pool2d(x, 1).flatten(1),
        "avg_pool2d": lambda x: F.avg_pool2d(x, (6, 10)).flatten(1),
        "sum": lambda x: x.sum((2, 3)) / 60,
        "matmul": lambda x: x.flatten(2) @ x.new_full((60,), 1 / 60),
    },
    "silu": {
        "silu": F.silu,
        "sigmoid": lambda x: x * x.sigmoid(),
        "exp": lambda x: x / (1 + (-x).exp()),
    },
    "hardswish": {
        "hardswish": F.hardswish,
        "relu6": lambda x: x * F.relu6(x + 3) / 6,
        "hardsigmoid": lambda x: x * F.hardsigmoid(x),
    },
    "gelu": {
        "gelu": F.gelu,
        "erf": lambda x: x * 0.5 * (1 + (x * 2**-0.5).erf()),
    },
    "softmax": {
        "softmax": lambda x: x.softmax(1),
        "exp": lambda x: (e := (x - x.amax(1, True)).exp(), e / e.sum(1, True))[1],
        "log_softmax": lambda x: x.log_softmax(1).exp(),
        "permute": lambda x: x.permute(0, 2, 3, 1).softmax(-1).permute(0, 3, 1, 2),
    },
    "batch norm": {
        "batch_norm": lambda x: F.batch_norm(x, (w := _w(x))[0], w[1].square() + 0.5, w[2], w[3]),
        "affine": lambda x: (x - _row(x, 0)) / (_row(x, 1).square() + (0.5 + 1e-5)).sqrt() * _row(x, 2) + _row(x, 3),
    },
    "layer norm": {
        "layer_norm": lambda x: F.layer_norm(x, (10,)),
        "var": lambda x: (x - x.mean(-1, True)) / (x.var(-1, correction=0, keepdim=True) + 1e-5).sqrt(),
        "group_norm": lambda x: F.group_norm(x.reshape(96, 1, 10), 1).view(_SHAPE),
    },
    "group norm": {
        "group_norm": lambda x: F.group_norm(x, 2),
        "layer_norm": lambda x: F.layer_norm(x.reshape(4, 240), (240,)).view(_SHAPE),
    },
    "attention": {
        "scaled_dot_product_attention": lambda x: F.scaled_dot_product_attention(x, x.flip(1), x.roll(1, 2)),
        "softmax": lambda x: ((x @ x.flip(1).mT) * 10**-0.5).softmax(-1) @ x.roll(1, 2),
    },
    "norm": {
        "norm": lambda x: x.norm(dim=1),
        "sqrt": lambda x: x.square().sum(1).sqrt(),
        "vector_norm": lambda x: torch.linalg.vector_norm(x, dim=1),
    },
    "deviation": {
        "std": lambda x: x.std((2, 3)),
        "var": lambda x: x.var((2, 3)).sqrt(),
        "correction": lambda x: x.std((2, 3), correction=1),
        "mean": lambda x: ((x - x.mean((2, 3), True)).square().sum((2, 3)) / 59).sqrt(),
    },
    "deviation of everything": {
        "std": lambda x: x - x.std(),
        "correction": lambda x: x - x.std(correction=1),
        "flatten": lambda x: x - x.flatten().std(0),
    },
    "stride": {
        "conv2d": lambda x: F.conv2d(x, _w(x)[:, :, None, None], stride=2),
        "slice": lambda x: F.conv2d(x[..., ::2, ::2], _w(x)[:, :, None, None]),
    },
    "sums from the left": {
        "cumsum": lambda x: x.cumsum(1),
        "matmul": lambda x: (x.new_ones(8, 8).tril() @ x.flatten(2)).view(_SHAPE),
    },
}  # fmt: skip


class _Spelled(nn.Module):
    def __init__(self, spelling: Spelling) -> None:
        super().__init__()
        self.spelling = spelling

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """The outputs, flat."""
        return tensors(self.spelling(x))


@cache
def rewrites() -> Mapping[str, Mapping[str, Spelling]]:
    """By name of the computation, and of the spelling, which the first is the reference of."""
    return {f"spelled: {name}": spellings for name, spellings in {**_MOVING, **_COMPUTING}.items()}


def spelled(name: str) -> list[Sample]:
    """A sample for each spelling of a computation; what is right is what eager makes of the first."""
    one, other = (torch.randn(_SHAPE, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    modules = {spelling: _Spelled(function) for spelling, function in rewrites()[name].items()}
    first = next(iter(modules.values()))
    return [Sample(name, module, (one.clone(),), (other.clone(),), "", first) for name, module in modules.items()]


def _w(x: Tensor) -> Tensor:
    """(6, 8), of the dtype and device of what it is applied to."""
    return _W.to(x)


def _range(x: Tensor, *given: int) -> Tensor:
    """On the device of what is indexed."""
    return torch.arange(*given, device=x.device)


def _row(x: Tensor, number: int) -> Tensor:
    """(8, 1, 1)."""
    return _w(x)[number, :, None, None]
