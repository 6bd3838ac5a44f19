"""What a node of an exported graph that resizes an image does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.fx import Node

_MODES = {"upsample_nearest2d": "nearest", "upsample_bilinear2d": "bilinear", "upsample_bicubic2d": "bicubic"}


@dataclass(frozen=True)
class Resizing:
    """Rows and columns `before` and `after`; `scales` are the factors that were given instead of a size."""

    mode: str
    before: tuple[int, ...]
    after: tuple[int, ...]
    align_corners: bool
    scales: tuple[float, ...] | None


def resizing(node: Node) -> Resizing | None:
    """What it does, where it is F.interpolate in one of these modes; None for any other node."""
    name, _, overload = str(getattr(node.target, "__name__", "")).partition(".")
    if node.op != "call_function" or name not in _MODES or overload != "vec":
        return None
    arguments: Any = node.args
    scales = arguments[-1]
    return Resizing(
        mode=_MODES[name],
        before=tuple(arguments[0].meta["val"].shape[2:]),
        after=tuple(node.meta["val"].shape[2:]),
        align_corners=len(arguments) == 4 and arguments[2],
        scales=tuple(scales) if scales else None,
    )


def interpolate(**arguments: Any) -> nn.Module:
    """A module that does nothing but F.interpolate."""
    from torch import nn

    class Resize(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.interpolate(x, **arguments)

    return Resize()


def images(*shape: int) -> Callable[[int], tuple[Tensor, ...]]:
    """Inputs of a minimal case: noise of this shape."""

    def inputs(index: int) -> tuple[Tensor, ...]:
        import torch

        return (torch.rand(shape, generator=torch.Generator().manual_seed(index)),)

    return inputs
