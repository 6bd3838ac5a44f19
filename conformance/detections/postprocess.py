"""From a detector's output to detections: the same on the CPU for the reference and for every device.

One label a box, its best class, as ultralytics' predict does; its validation gives a box every class that scores.
Suppression is class by class at an overlap of 0.7, and the best 300 are kept, as there. That overlap is more than
detections are matched by: where two boxes of an object score the same but for rounding, either may survive.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice
from math import inf
from typing import TYPE_CHECKING

import numpy as np

from conformance.core.deferred import torch
from conformance.core.errors import UserError
from conformance.models.boxes import survivors
from conformance.models.torchvision_ops import suppression
from conformance.scenes.letterbox import Letterbox

if TYPE_CHECKING:
    from torch import Tensor

# Low, for average precision: what scores less has no influence on what scores more.
CONFIDENCE = 0.001
OVERLAP = 0.7
MOST = 300


@dataclass(frozen=True, eq=False)
class Detections:
    """What is found in one image, the best first.

    boxes (n, 4) float64, x1 y1 x2 y2 in pixels; scores (n,) float64; classes (n,) int64. Not among them, but
    counted: `nonfinite`, places of the output with a NaN or an infinity, and `degenerate`, boxes that score
    enough and have no width or no height, so that they overlap nothing, not even themselves. All that scores
    more than `cut` is here: it is -inf where nothing was left out for want of room.
    """

    boxes: np.ndarray
    scores: np.ndarray
    classes: np.ndarray
    nonfinite: int = 0
    degenerate: int = 0
    cut: float = -inf

    def __len__(self) -> int:
        return len(self.scores)

    def above(self, confidence: float) -> Detections:
        """Those that score at least this."""
        return self.take(np.flatnonzero(self.scores >= confidence))

    def take(self, indices: np.ndarray) -> Detections:
        """Those at these indices, in that order."""
        return replace(self, boxes=self.boxes[indices], scores=self.scores[indices], classes=self.classes[indices])


def from_cells(
    output: Tensor, confidence: float = CONFIDENCE, overlap: float = OVERLAP, most: int = MOST
) -> list[Detections]:
    """The detections of each image of a YOLO head's output: (B, 4 + classes, cells), rows centre x, centre y,
    width, height in pixels of the network's input, then the score of each class in 0..1.

    Raises UserError for another shape.
    """
    if output.ndim != 3 or output.shape[1] < 5:
        raise _shape_error(output, "(batch, 4 + classes, cells)")
    images = []
    for cells in _table(output.transpose(1, 2)):
        cells, nonfinite = _sift(cells, cells[:, 4:].max(1), confidence)
        centres, halves, scores = cells[:, :2], cells[:, 2:4] / 2, cells[:, 4:]
        boxes = np.concatenate([centres - halves, centres + halves], 1)
        found = _best_first(boxes, scores.max(1), scores.argmax(1), nonfinite)
        keep = _suppressed(found, overlap, most + 1)
        cut = float(found.scores[keep[most]]) if len(keep) > most else -inf
        images.append(replace(found.take(keep[:most]), cut=cut))
    return images


def _suppressed(found: Detections, overlap: float, most: int) -> np.ndarray:
    """The indices of the first survivors, class by class: by torchvision where its kernels load, as PyPI's do not
    beside a torch for the CPU; else by our own, which gives the same, as figures must not depend on it."""
    if (nms := suppression()) is None:
        return np.fromiter(islice(survivors(found.boxes, found.classes, overlap), most), dtype=np.int64)
    kept = []
    for kind in np.unique(found.classes):
        indices = np.flatnonzero(found.classes == kind)
        ranks = torch.arange(len(indices), 0, -1, dtype=torch.float64)
        kept.append(indices[nms(torch.from_numpy(found.boxes[indices]), ranks, overlap).numpy()])
    return np.sort(np.concatenate([*kept, np.empty(0, dtype=np.int64)]))[:most]


def from_rows(output: Tensor, confidence: float = CONFIDENCE) -> list[Detections]:
    """The detections of each image of an end-to-end head's output: (B, n, 6), rows x1, y1, x2, y2 in pixels,
    score in 0..1, class. It has ranked and suppressed itself; where all n score enough, it may have left more out.

    Raises UserError for another shape.
    """
    if output.ndim != 3 or output.shape[2] != 6:
        raise _shape_error(output, "(batch, detections, 6)")
    images = []
    for rows in _table(output):
        chosen, nonfinite = _sift(rows, rows[:, 4], confidence)
        found = _best_first(chosen[:, :4], chosen[:, 4], chosen[:, 5].round().astype(np.int64), nonfinite)
        full = 0 < len(rows) == len(chosen)
        images.append(replace(found, cut=float(chosen[:, 4].min())) if full else found)
    return images


def restored(found: Detections, box: Letterbox) -> Detections:
    """The same in pixels of the picture that lies in the input, clipped to it: what is in the padding alone has no
    width or no height there."""
    return _proper(replace(found, boxes=box.restore(found.boxes)))


def _shape_error(output: Tensor, wanted: str) -> UserError:
    return UserError(f"detections cannot be read from an output of {tuple(output.shape)}: it should be {wanted}")


def _table(output: Tensor) -> np.ndarray:
    return output.detach().cpu().double().numpy()


def _sift(table: np.ndarray, scores: np.ndarray, confidence: float) -> tuple[np.ndarray, int]:
    """The lines that are finite and score enough, and how many are not finite."""
    finite = np.isfinite(table).all(1)
    return table[finite & (scores >= confidence)], int((~finite).sum())


def _best_first(boxes: np.ndarray, scores: np.ndarray, classes: np.ndarray, nonfinite: int) -> Detections:
    """Without the degenerate ones. Of equal scores the earlier place of the output comes first."""
    found = _proper(Detections(boxes, scores, classes, nonfinite))
    return found.take(np.argsort(-found.scores, kind="stable"))


def _proper(found: Detections) -> Detections:
    """Without the boxes that have no width or no height, which are counted."""
    proper = np.flatnonzero((found.boxes[:, 2:] > found.boxes[:, :2]).all(1))
    return replace(found.take(proper), degenerate=found.degenerate + len(found) - len(proper))
