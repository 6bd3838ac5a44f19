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
    """The places of the boxes (n, 4), best first, that overlap no better survivor of their class by more.

    Greedy suppression, class by class. Own, because torchvision's does not import beside PyPI's torch for the
    CPU and figures must not depend on what a host has; where it imports a test demands that both agree.
    """
    left = np.ones(len(boxes), dtype=bool)
    for place, kind in enumerate(classes):
        if left[place]:
            yield place
            rivals = place + 1 + np.flatnonzero(left[place + 1 :] & (classes[place + 1 :] == kind))
            left[rivals] = overlaps(boxes[place, None], boxes[rivals])[0] <= overlap


def _areas(boxes: np.ndarray) -> np.ndarray:
    return np.asarray((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))
