"""Average precision as COCO defines it, by faster-coco-eval; the tests hold it against pycocotools."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from conformance.core.errors import UserError
from conformance.core.requirements import missing_packages
from conformance.detections.postprocess import Detections


class Labels(Protocol):
    """What is in one image: boxes (n, 4), x1 y1 x2 y2 in pixels, and their classes (n,), arrays or tensors."""

    @property
    def boxes(self) -> ArrayLike: ...

    @property
    def classes(self) -> ArrayLike: ...


@dataclass(frozen=True)
class AveragePrecision:
    """In 0..1, averaged over the classes that have labels: over the overlaps 0.5, 0.55 ... 0.95, and at 0.5."""

    ap: float
    ap50: float


def average_precision(detections: Sequence[Detections], labels: Sequence[Labels], classes: int) -> AveragePrecision:
    """AP of the images' best 100 detections of each class. No label is a crowd; all sizes count.

    Raises UserError where faster-coco-eval is missing, where there is no label, where one is of a class beyond
    `classes`, and where there are more images on one side.
    """
    if reason := missing_packages({"faster_coco_eval": "detections"}, "average precision"):
        raise UserError(reason)
    if len(detections) != len(labels):
        raise UserError(
            f"detections of {len(detections)} images, labels of {len(labels)}: they should be of the same"
        )
    from faster_coco_eval import COCO, COCOeval_faster

    truth = COCO(_dataset(labels, classes))
    found = truth.loadRes(_results(detections))
    evaluation = COCOeval_faster(truth, found, iouType="bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return AveragePrecision(*map(float, evaluation.stats[:2]))


def _dataset(labels: Sequence[Labels], classes: int) -> dict[str, Any]:
    """The labels as COCO's file of annotations has them."""
    boxes = [box for image, label in enumerate(labels) for box in _boxes(image, label.boxes, label.classes)]
    if not boxes:
        raise UserError("average precision is not defined: no image has a labelled box")
    if beyond := {box["category_id"] for box in boxes} - set(range(classes)):
        raise UserError(f"label of class {min(beyond)}: with {classes} classes they are 0 to {classes - 1}")
    # identifiers from 1: 0 means "not matched" in there
    annotations = [box | {"id": i, "iscrowd": 0} for i, box in enumerate(boxes, 1)]
    images = [{"id": image} for image in range(len(labels))]
    return {"images": images, "annotations": annotations, "categories": [{"id": c} for c in range(classes)]}


def _results(detections: Sequence[Detections]) -> list[dict[str, Any]]:
    """The detections as COCO's file of results has them."""
    return [
        box | {"score": score}
        for image, found in enumerate(detections)
        for box, score in zip(_boxes(image, found.boxes, found.classes), found.scores.tolist(), strict=True)
    ]


def _boxes(image: int, boxes: ArrayLike, classes: ArrayLike) -> Iterator[dict[str, Any]]:
    """Boxes as left, top, width, height, which COCO counts in, with their area."""
    corners = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
    sides = corners[:, 2:] - corners[:, :2]
    for corner, side, kind in zip(corners[:, :2], sides, np.asarray(classes), strict=True):
        box = [*corner.tolist(), *side.tolist()]
        yield {"image_id": image, "category_id": int(kind), "bbox": box, "area": float(side.prod())}
