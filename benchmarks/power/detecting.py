"""How many of the detections that every equally valid run has are kept."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from conformance.detections.matching import SLACK, among
from conformance.detections.postprocess import Detections

# A detection of less than this is none that a user sees.
CONFIDENCE = 0.25


def kept(valid: Sequence[Detections], answer: Detections) -> tuple[int, int]:
    """How many detections all valid runs have, and how many of these the answer has. All are of one image; the first
    is the graph without a fault."""
    healthy = valid[0]
    wanted = max(CONFIDENCE, min(healthy.cut, answer.cut) + SLACK)
    had_by_all = np.all([among(healthy, run, wanted) for run in valid], axis=0)
    return int(had_by_all.sum()), int((had_by_all & among(healthy, answer, wanted)).sum())
