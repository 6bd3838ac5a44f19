"""Average precision: against what can be computed by hand, and against pycocotools."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest

from conformance.core.errors import UserError
from conformance.detections.average_precision import AveragePrecision, average_precision
from conformance.detections.postprocess import Detections

CLASSES = 5


@dataclass(frozen=True)
class Labelled:
    boxes: np.ndarray
    classes: np.ndarray


def random_boxes(random: np.random.Generator, count: int) -> np.ndarray:
    corners = random.uniform(0, 200, (count, 2))
    return np.concatenate([corners, corners + random.uniform(4, 150, (count, 2))], 1)


def labelled(seed: int, images: int = 6) -> list[Labelled]:
    random = np.random.default_rng(seed)
    counts = random.integers(0, 12, images)
    return [Labelled(random_boxes(random, n), random.integers(0, CLASSES, n)) for n in counts]


def perfect(labels: Sequence[Labelled]) -> list[Detections]:
    return [Detections(label.boxes, np.linspace(0.9, 0.2, len(label.boxes)), label.classes) for label in labels]


def noisy(seed: int, labels: Sequence[Labelled]) -> list[Detections]:
    """Most of the labels, moved and some of another class, among others that are not there; many scores are equal."""
    random = np.random.default_rng(seed)
    images = []
    for label in labels:
        kept = random.random(len(label.boxes)) < 0.8
        moved = label.boxes[kept] + random.normal(0, 4, (kept.sum(), 4)) * [1, 1, 0, 0]
        classes = np.where(random.random(kept.sum()) < 0.9, label.classes[kept], 0)
        others = int(random.integers(0, 8))
        boxes = np.concatenate([moved, random_boxes(random, others)])
        scores = random.integers(1, 20, len(boxes)) / 20
        images.append(Detections(boxes, scores, np.concatenate([classes, random.integers(0, CLASSES, others)])))
    return images


def reference(detections: Sequence[Detections], labels: Sequence[Labelled]) -> AveragePrecision:
    """What pycocotools finds."""
    pytest.importorskip("pycocotools")
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    truth, results = COCO(), []
    truth.dataset = {"images": [], "annotations": [], "categories": [{"id": c} for c in range(CLASSES)]}
    for image, (found, label) in enumerate(zip(detections, labels, strict=True)):
        truth.dataset["images"].append({"id": image})
        for (x1, y1, x2, y2), kind in zip(label.boxes, label.classes, strict=True):
            truth.dataset["annotations"].append({
                "id": len(truth.dataset["annotations"]) + 1, "image_id": image, "category_id": int(kind),
                "bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1), "iscrowd": 0,
            })  # fmt: skip
        for (x1, y1, x2, y2), score, kind in zip(found.boxes, found.scores, found.classes, strict=True):
            box = [x1, y1, x2 - x1, y2 - y1]
            results.append({"image_id": image, "category_id": int(kind), "bbox": box, "score": float(score)})
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(results), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return AveragePrecision(*evaluation.stats[:2])


@pytest.mark.parametrize("seed", range(12))
def test_it_is_that_of_pycocotools(seed: int) -> None:
    labels = labelled(seed)
    detections = noisy(seed, labels)
    found, wanted = average_precision(detections, labels, CLASSES), reference(detections, labels)
    assert 0 < found.ap < found.ap50 < 1
    assert (found.ap, found.ap50) == pytest.approx((wanted.ap, wanted.ap50), abs=1e-6)


def test_only_the_best_hundred_of_a_class_count_as_in_pycocotools() -> None:
    random = np.random.default_rng(0)
    labels = [Labelled(random_boxes(random, 150), np.zeros(150, dtype=np.int64))]
    detections = perfect(labels)
    found = average_precision(detections, labels, CLASSES)
    assert found.ap == pytest.approx(67 / 101, abs=1e-6)  # recall ends at 100 of 150
    assert found.ap == pytest.approx(reference(detections, labels).ap, abs=1e-6)


def test_perfect_detections_have_one_and_say_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    labels = labelled(0)
    assert average_precision(perfect(labels), labels, CLASSES) == AveragePrecision(1, 1)
    assert capfd.readouterr() == ("", "")


def shifted(labels: Sequence[Labelled], part: float) -> list[Detections]:
    """Perfect, but for boxes shifted to the right by a part of their width."""
    move = np.array([[1, 0, 1, 0]]) * part
    return [
        replace(found, boxes=found.boxes + move * (found.boxes[:, 2] - found.boxes[:, 0])[:, None])
        for found in perfect(labels)
    ]


SPARSE = [Labelled(np.array([[10.0, 20, 50, 60], [100, 20, 150, 90]]), np.array([0, 1])) for _ in range(3)]


@pytest.mark.parametrize(
    ("detections", "ap", "ap50"),
    [
        (shifted(SPARSE, 0.1), 0.7, 1),  # overlap 0.82: of ten overlaps, 0.5 to 0.8 are reached
        (shifted(SPARSE, 0.5), 0, 0),  # overlap a third
        (
            [*perfect(SPARSE)[:2], Detections(np.zeros((0, 4)), np.zeros(0), np.zeros(0, dtype=np.int64))],
            67 / 101,
            67 / 101,
        ),
        ([replace(found, classes=1 - found.classes) for found in perfect(SPARSE)], 0, 0),
        ([replace(found, scores=found.scores / 2) for found in perfect(SPARSE)], 1, 1),  # only the order counts
        ([Detections(np.zeros((0, 4)), np.zeros(0), np.zeros(0, dtype=np.int64))] * 3, 0, 0),
    ],
    ids=[
        "shifted a little",
        "shifted by half",
        "an image dropped",
        "classes swapped",
        "scores damped",
        "nothing found",
    ],
)
def test_what_faults_cost(detections: list[Detections], ap: float, ap50: float) -> None:
    found = average_precision(detections, SPARSE, 2)
    assert (found.ap, found.ap50) == pytest.approx((ap, ap50), abs=1e-6)


def test_labels_that_cannot_be_counted_are_one_line() -> None:
    nothing = [Labelled(np.zeros((0, 4)), np.zeros(0))]
    with pytest.raises(UserError, match="no image has a labelled box"):
        average_precision(perfect(nothing), nothing, CLASSES)
    with pytest.raises(UserError, match="label of class 1: with 1 classes they are 0 to 0"):
        average_precision(perfect(SPARSE), SPARSE, 1)
    with pytest.raises(UserError, match="detections of 2 images, labels of 3"):
        average_precision(perfect(SPARSE)[:2], SPARSE, 2)


def test_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faster_coco_eval", None)
    with pytest.raises(UserError, match=r"needs faster_coco_eval: pip install 'neuron-conformance\[detections\]'"):
        average_precision(perfect(SPARSE), SPARSE, 2)
