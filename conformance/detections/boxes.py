"""Overlap of boxes, and suppression of those that show the same object again."""

from __future__ import annotations

import numpy as np

from conformance.torchvision_ops import suppression


def overlaps(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of (n, 4) and (m, 4) boxes x1 y1 x2 y2: (n, m). All have width and height."""
    widths, heights = (
        np.minimum.outer(boxes[:, axis + 2], others[:, axis + 2]) - np.maximum.outer(boxes[:, axis], others[:, axis])
        for axis in (0, 1)
    )
    common = widths.clip(0) * heights.clip(0)
    return np.asarray(common / (_areas(boxes)[:, None] + _areas(others) - common))


def survivors(boxes: np.ndarray, classes: np.ndarray, overlap: float) -> np.ndarray:
    """The places (int64) of the boxes (n, 4), best first, that overlap no better survivor of their class by more.

    By torchvision where it imports with its kernels. PyPI's does not beside PyPI's torch for the CPU: what stands in
    for it there gives the same, as figures must not depend on what a host has.
    """
    import torch

    nms = suppression()
    kept = np.zeros(len(boxes), dtype=bool)
    for kind in np.unique(classes):
        places = np.flatnonzero(classes == kind)
        ranks = torch.arange(len(places), 0, -1, dtype=torch.float64)
        kept[places[nms(torch.from_numpy(boxes[places]), ranks, overlap).numpy()]] = True
    return np.flatnonzero(kept)


def _areas(boxes: np.ndarray) -> np.ndarray:
    return np.asarray((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))
