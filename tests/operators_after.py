"""One operator behind a convolution: those whose result a trace freezes, and those of which only the shape counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from toys import Toy

from conformance.cases.case import Subject
from conformance.core.groups import Group
from conformance.systems.protocol import Model


class After(nn.Module):
    """(batch, 3, H, W) to whatever a function makes of a convolution of it, or of a second one behind it."""

    def __init__(self, function: Callable[[Tensor], Any], head: bool = False) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2, 1)
        self.head = nn.Conv2d(8, 4, 1) if head else nn.Identity()
        self.function = function

    def forward(self, x: Tensor) -> Any:
        return self.function(self.head(self.stem(x)))


def _regions(y: Tensor) -> Tensor:
    """(B, 5): a region for each image, whose corners its values say."""
    corners = y.flatten(2)[:, 0, :4].sigmoid() * 4
    images = torch.arange(len(y), dtype=y.dtype, device=y.device)[:, None]
    return torch.cat((images, corners[:, :2], corners[:, :2] + corners[:, 2:] + 2), 1)


def _roi_align(y: Tensor) -> Tensor:
    from torchvision.ops import roi_align

    aligned: Tensor = roi_align(y, _regions(y), 3)
    return aligned


def _suppressed(y: Tensor) -> Tensor:
    from torchvision.ops import nms

    kept: Tensor = nms(_regions(y)[:, 1:], y.flatten(1).amax(1), 0.3)
    return y * (1 + kept.to(y.dtype).sum() + y.flatten(1)[kept].mean())


def _written_by_mask(y: Tensor) -> Tensor:
    y = y.clone()
    y[y > y.mean()] = 0.5
    return y * y[y < 0.5].abs().mean()


def _longest_runs(y: Tensor) -> Tensor:
    steps = (y.flatten(1) > 0).int()
    runs: Tensor = torch.unique_consecutive(steps)
    return y * runs.numel()


# What torch-xla 2.9 computes on the CPU while it traces, and a program that was traced once has for a constant.
FROZEN: dict[str, Callable[[Tensor], Any]] = {
    "item": lambda y: y / y.norm().item(),
    "bool": lambda y: y * 2 if bool((y.std() > 0.22).item()) else y,
    "maskedselect": lambda y: y - y.masked_select(y < 0).mean(),
    "maskread": lambda y: y - y[y < 0].mean(),
    "maskwritten": _written_by_mask,
    "nonzero": lambda y: y * (y < 0).nonzero().to(y.dtype).mean(),
    "argwhere": lambda y: y + torch.argwhere(y > 0.1).to(y.dtype).mean(0).sum(),
    "unique": lambda y: y * (y * 5).round().unique().numel(),  # type: ignore[no-untyped-call]
    "uniqueconsecutive": _longest_runs,
    "bincount": lambda y: y + (y.flatten() * 4 + 20).clamp(0, 40).long().bincount(minlength=41).to(y.dtype).std(),
    "histc": lambda y: y + torch.histc(y, 5, -1, 1).std(),
    "bucketize": lambda y: torch.bucketize(y, torch.linspace(-1, 1, 7, device=y.device)).to(y.dtype) + y,
    "repeats": lambda y: y.repeat_interleave(1 + (y[0, 0, 0] > 0).long(), 3).sum(3),
    "mode": lambda y: y - (y * 2).round().mode(2, keepdim=True).values,
    "nanmean": lambda y: y - y.nanmean((1, 2), keepdim=True),
    "nanmedian": lambda y: y - y.nanmedian(-1, keepdim=True).values,
    "cummin": lambda y: y.cummin(2).values * 2,
    "hypot": lambda y: torch.hypot(y, y.flip(2)),
    "logaddexp": lambda y: torch.logaddexp(y.flip(2), y),
    "copysign": lambda y: y.copysign(y.roll(1, 3)),
    "heaviside": lambda y: y + torch.heaviside(y, y.new_zeros(1)),
    "lgamma": lambda y: (y.abs() + 0.5).lgamma(),
    "rounddecimals": lambda y: y.round(decimals=1) * 3,
    "bicubic": lambda y: functional.interpolate(y, scale_factor=1.5, mode="bicubic"),
    "gridsample": lambda y: functional.grid_sample(y, y[:, 2:4].permute(0, 2, 3, 1).tanh(), align_corners=True),
    "roialign": _roi_align,
    "nms": _suppressed,
}

# What a model takes to the CPU itself. Where everything is on the CPU, as when it is exported, nothing shows it.
MOVED: dict[str, Callable[[Tensor], Any]] = {
    "cpu": lambda y: y - y.cpu().cumsum(2).to(y.device),
    "tolist": lambda y: y * max(y.amax((1, 2, 3)).tolist()),
    "numpy": lambda y: y + float(y.cpu().numpy().std()),
    "copied": lambda y: y * torch.empty(y.shape).copy_(y).to(y.device),
}


def _padded_frame(y: Tensor) -> Tensor:
    """How much of a kernel lies on the image, by its shape alone."""
    ones = y.new_ones(1, 1, 3, 3)
    inside = functional.conv2d(torch.ones_like(y[:, :1]), ones, padding=1)
    return y * 9 / inside


def _sines(y: Tensor) -> Tensor:
    rows = torch.zeros_like(y[:, :1]).add(1).cumsum(2)
    columns = torch.full_like(y[:, :1], 0.5).cumsum(3)
    return y + torch.cat((rows.sin(), columns.cos()), 1).repeat(1, y.shape[1] // 2, 1, 1)


def _relative(y: Tensor) -> Tensor:
    """Attention with a bias that says how far apart two rows are."""
    place = torch.arange(y.shape[2], device=y.device)
    bias = -(place[:, None] - place[None]).abs().to(y.dtype) / y.shape[2]
    return (y @ y.mT + bias).softmax(-1) @ y


def _coordinates(y: Tensor) -> Tensor:
    b, _, h, w = y.shape
    rows, columns = torch.meshgrid(torch.arange(h, device=y.device), torch.arange(w, device=y.device), indexing="ij")
    both = torch.stack((columns, rows)).to(y.dtype).expand(b, 2, h, w)
    return torch.cat((y, both), 1)


# What depends on a shape alone may be a constant, and is one for every compiler.
HARMLESS: dict[str, Callable[[Tensor], Any]] = {
    "fulllike": lambda y: torch.maximum(y, torch.full_like(y, 0.1)),
    "zeroslike": lambda y: torch.cat((y, torch.zeros_like(y)), 1).softmax(1),
    "newfull": lambda y: y * y.new_full(y.shape, 2.0).cumsum(2),
    "newones": lambda y: torch.where(y > 0, y, y.new_ones(y.shape).cumsum(3)),
    "scattered": lambda y: y * torch.zeros_like(y).scatter(2, y.argmin(2, keepdim=True), 1.0),
    "filled": lambda y: y + y.clone().fill_(3.0).cumsum(-1),
    "paddedframe": _padded_frame,
    "sines": _sines,
    "relative": _relative,
    "coordinates": _coordinates,
    "causal": lambda y: (y @ y.mT).masked_fill(torch.ones_like(y[0, 0]).triu(1).bool(), -1e4).softmax(-1) @ y,
    "everythird": lambda y: y[..., torch.arange(0, y.shape[3], 3, device=y.device)],
    "taken": lambda y: y.gather(2, (torch.arange(y.shape[2], device=y.device) // 2)[:, None].expand(y.shape)),
    "identity": lambda y: y @ torch.eye(y.shape[3], device=y.device, dtype=y.dtype) * 2,
    "onehot": lambda y: y * functional.one_hot(y.argmin(1), y.shape[1]).movedim(-1, 1).to(y.dtype),
    "pooled": lambda y: functional.adaptive_avg_pool2d(y, 4),
}


class _Operators(Toy):
    """A variant for each operator; the images differ in their brightness, too."""

    operators: dict[str, Callable[[Tensor], Any]] = {}

    def layers(self, variant: str, task: str) -> tuple[str, ...]:
        return ("stem",)

    def groups(self, variant: str, task: str) -> tuple[Group, ...] | None:
        return None

    def build(self, variant: str, task: str) -> Model:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            module = After(self.operators[variant]).eval().requires_grad_(False)
        return Model(module, ("stem",), f"{self.name}-{variant}")

    def inputs(self, subject: Subject, index: int) -> tuple[Tensor, ...]:
        (x,) = super().inputs(subject, index)
        return (x * (1 - 0.4 * index),)


class Frozen(_Operators):
    name = "frozen"
    operators = FROZEN | MOVED
    variants = tuple(operators)


class Harmless(_Operators):
    name = "harmless"
    operators = HARMLESS
    variants = tuple(HARMLESS)
