"""What a node of an exported graph that resizes an image does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from conformance.core.deferred import functional
from conformance.graphs.fx_match import arguments, calls, operator

if TYPE_CHECKING:
    from torch import nn
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
    given = arguments(node)
    mode = _MODES.get(operator(node))
    if mode is None or "scale_factors" not in given:
        return None
    scales = given["scale_factors"]
    return Resizing(
        mode=mode,
        before=tuple(given["input"].meta["val"].shape[2:]),
        after=tuple(node.meta["val"].shape[2:]),
        align_corners=given.get("align_corners", False),
        scales=tuple(scales) if scales else None,
    )


def interpolate(**arguments: Any) -> nn.Module:
    """A module that does nothing but F.interpolate."""
    return calls(lambda x: functional.interpolate(x, **arguments))
