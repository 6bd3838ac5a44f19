"""Architectures that are made of the same kinds of layers, and differ in how many and how wide these are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from conformance.core.store import digest

# What a layer computes, whatever its width is.
_TRAITS = ("kernel_size", "stride", "padding", "output_padding", "dilation", "ceil_mode", "mode", "scale_factor")


@dataclass(frozen=True)
class Outline:
    """A name, the kinds of layers that are in it, as a hash, and its parameters; neither of one that is not built."""

    name: str
    layers: str | None = None
    parameters: int = 0


def outline(name: str, module: Any) -> Outline:
    """That of a module."""
    kinds = sorted({_kind(part) for part in module.modules()})
    return Outline(name, digest({"layers": kinds}), sum(parameter.numel() for parameter in module.parameters()))


def smallest(outlines: Iterable[Outline]) -> list[str]:
    """The names of the smallest of each family, and of all that were not built: what becomes of them is not known."""
    found: dict[str, Outline] = {}
    for one in outlines:
        family = one.layers or f"not built: {one.name}"
        if family not in found or one.parameters < found[family].parameters:
            found[family] = one
    return [one.name for one in found.values()]


def _kind(part: Any) -> str:
    """A layer's class and traits; of a convolution also whether each channel is alone."""
    traits = [f"{name}={getattr(part, name)}" for name in _TRAITS if _is_plain(getattr(part, name, None))]
    groups = getattr(part, "groups", 1)
    depthwise = groups == getattr(part, "in_channels", None) if isinstance(groups, int) and groups > 1 else None
    return f"{type(part).__module__}.{type(part).__qualname__} {traits} {depthwise}"


def _is_plain(value: Any) -> bool:
    return isinstance(value, int | float | str | tuple)
