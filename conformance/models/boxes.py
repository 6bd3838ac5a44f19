"""Overlap of boxes, and suppression of those that show the same object again."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np


def overlaps(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of (n, 4) and (m, 4) boxes x1 y1 x2 y2: (n, m). All have width and height."""
    widths, heights = (
        np.minimum.outer(boxes[:, axis + 2], others[:, axis + 2]) - np.maximum.outer(boxes[:, axis], others[:, axis])
        for axis in (0, 1)
    )
    common = widths.clip(0) * heights.clip(0)
    return np.asarray(common / (_areas(boxes)[:, None] + _areas(others) - common))


def survivors(boxes: np.ndarray, classes: np.ndarray, overlap: float) -> Iterator[int]:
    """The indices of the boxes (n, 4), best first, that overlap no better survivor of their class by more: greedy
    suppression, one survivor after the other."""
    left = np.arange(len(boxes))
    while len(left):
        best, left = left[0], left[1:]
        yield int(best)
        rivals = np.flatnonzero(classes[left] == classes[best])
        left = np.delete(left, rivals[overlaps(boxes[best, None], boxes[left[rivals]])[0] > overlap])


def _areas(boxes: np.ndarray) -> np.ndarray:
    return np.asarray((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))
