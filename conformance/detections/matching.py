"""Detections of a device against those of the reference: kept, lost, spurious.

Two are the same where they are of one class and overlap by half or more; each is used once, and as many pairs are
made as can be. A detection whose score crosses the confidence by rounding alone is neither lost nor spurious:
those of the reference at a confidence are searched among the device's at that confidence less SLACK, and the
device's among the reference's likewise. So it is with the cut of a full list: what scores less than SLACK above
it may be missing on the other side, and is not judged. Degenerate boxes are no detections on either side.

What else rounding can do is counted all the same: another best class where two score the same, another survivor
where an overlap is just the one that suppresses, another overlap of boxes no larger than their own error. Whether
it is no more than that `differs` says, from what valid runs find.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from conformance.detections.postprocess import Detections
from conformance.models.boxes import overlaps

CONFIDENCES = (0.1, 0.25, 0.5, 0.75)
OVERLAP = 0.5
# What rounding to bfloat16 can move a score below 1 by: half of the 2**-8 between its neighbours.
SLACK = 2**-9


@dataclass(frozen=True)
class Counts:
    """Of one image or more, at a confidence: the detections of the reference that are judged, those of them that
    the device has (kept) and has not (lost), and those that only the device has (spurious)."""

    confidence: float
    reference: int
    kept: int
    lost: int
    spurious: int


def count(reference: Detections, answer: Detections, confidence: float) -> Counts:
    """The counts of one image. Both need all detections from confidence - SLACK up."""
    # A device whose list is not full has no excuse for what it lacks, however full the reference's is.
    excused = min(reference.cut, answer.cut)
    wanted, kept = _found(reference, answer, max(confidence, excused + SLACK))
    given, known = _found(answer, reference, max(confidence, reference.cut + SLACK))
    return Counts(confidence, wanted, kept, wanted - kept, given - known)


def count_images(
    references: Sequence[Detections], answers: Sequence[Detections], confidence: float
) -> tuple[Counts, ...]:
    """The counts of each image of a batch. Raises ValueError where one side has more images."""
    return tuple(count(*pair, confidence) for pair in zip(references, answers, strict=True))


def total(images: Sequence[Counts]) -> Counts:
    """The sum of at least one image's counts, all at one confidence."""
    (confidence,) = {image.confidence for image in images}
    names = ("reference", "kept", "lost", "spurious")
    return Counts(confidence, **{name: sum(getattr(image, name) for image in images) for name in names})


def differs(valid: Sequence[Detections], answer: Detections, confidence: float) -> bool:
    """Whether the answer has lost a detection that all valid runs have, or made up one, or what is not finite, that
    none of them has.

    All are of one image, with all detections from confidence - SLACK up; the first is the reference.
    """
    given = max(confidence, *(run.cut + SLACK for run in valid))
    had_by_one = np.any([_among(answer, run, given) for run in valid], axis=0)
    nonfinite = answer.nonfinite and not any(run.nonfinite for run in valid)
    return bool(nonfinite or not kept(valid, answer, confidence).all() or not had_by_one.all())


def kept(valid: Sequence[Detections], answer: Detections, confidence: float) -> np.ndarray:
    """Of the detections that all valid runs have, as `differs` takes them, which the answer has: (n,) bool."""
    reference = valid[0]
    wanted = max(confidence, min(reference.cut, answer.cut) + SLACK)  # full lists are excused as above
    had_by_all = np.all([_among(reference, run, wanted) for run in valid], axis=0)
    return _among(reference, answer, wanted)[had_by_all]


def _among(some: Detections, others: Detections, confidence: float) -> np.ndarray:
    """Which of those that score enough are among the others, where a score may be less by rounding."""
    return paired(some.above(confidence), others.above(confidence - SLACK))


def _found(some: Detections, others: Detections, confidence: float) -> tuple[int, int]:
    """How many of some score enough, and how many of these are among the others."""
    found = _among(some, others, confidence)
    return len(found), int(found.sum())


def paired(some: Detections, others: Detections) -> np.ndarray:
    """Which of some have a partner, (n,) bool, where as many pairs as can be are made of what is the same."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import maximum_bipartite_matching

    same = (some.classes[:, None] == others.classes) & (overlaps(some.boxes, others.boxes) >= OVERLAP)
    partners: np.ndarray = maximum_bipartite_matching(csr_array(same), perm_type="column")
    return partners >= 0
