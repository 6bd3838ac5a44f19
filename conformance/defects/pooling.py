"""Pooling of images: what its windows cover."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from conformance.graphs.fx_match import arguments, operator, pair

if TYPE_CHECKING:
    from torch.fx import Node


@dataclass(frozen=True)
class Windows:
    """Those along the rows, or the columns, of an image: how many there are, and the length of each, dilation and
    all."""

    size: int
    count: int
    length: int
    stride: int
    padding: int


def windows(node: Node) -> tuple[Windows, ...]:
    """Along rows and columns, of an image or of a batch of them; empty where the node pools none."""
    if operator(node) not in ("avg_pool2d", "max_pool2d"):
        return ()
    given = arguments(node)
    kernel, padding, dilation = (pair(given.get(name, 1)) for name in ("kernel_size", "padding", "dilation"))
    sizes, counts = given["self"].meta["val"].shape[-2:], node.meta["val"].shape[-2:]
    along = zip(sizes, counts, kernel, pair(given["stride"] or kernel), padding, dilation, strict=True)
    return tuple(Windows(size, count, d * (k - 1) + 1, s, p) for size, count, k, s, p, d in along)


def reaches_beyond_the_image(node: Node) -> bool:
    """Whether the node pools with ceil_mode, and its window is larger than the padded image."""
    along = windows(node)
    return bool(along and arguments(node)["ceil_mode"]) and any(w.length > w.size + 2 * w.padding for w in along)
