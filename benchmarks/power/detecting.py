"""Whether what is found in an image differs from what every equally valid run finds there."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from conformance.detections.matching import SLACK, paired
from conformance.detections.postprocess import Detections

# A detection of less than this is none that a user sees.
CONFIDENCE = 0.25


def differs(valid: Sequence[Detections], answer: Detections) -> bool:
    """Whether the answer has lost a detection that all valid runs have, or made up one that none of them has.

    All are of one image, with all detections from CONFIDENCE - SLACK up; the first is the graph without a fault.
    """
    healthy = valid[0]
    wanted = max(CONFIDENCE, min(healthy.cut, answer.cut) + SLACK)  # full lists are excused as matching excuses them
    given = max(CONFIDENCE, *(run.cut + SLACK for run in valid))
    had_by_all = np.all([_among(healthy, run, wanted) for run in valid], axis=0)
    had_by_one = np.any([_among(answer, run, given) for run in valid], axis=0)
    return bool((had_by_all & ~_among(healthy, answer, wanted)).any() or (~had_by_one).any())


def kept(valid: Sequence[Detections], answer: Detections) -> tuple[int, int]:
    """How many detections all valid runs have, and how many of these the answer has."""
    healthy = valid[0]
    wanted = max(CONFIDENCE, min(healthy.cut, answer.cut) + SLACK)
    had_by_all = np.all([_among(healthy, run, wanted) for run in valid], axis=0)
    return int(had_by_all.sum()), int((had_by_all & _among(healthy, answer, wanted)).sum())


def _among(some: Detections, others: Detections, confidence: float) -> np.ndarray:
    """Which of those that score enough are among the others, where a score may be less by rounding."""
    return paired(some.above(confidence), others.above(confidence - SLACK))
