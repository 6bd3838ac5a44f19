"""YOLO26n learns as ultralytics (AGPL-3.0, optional) teaches it: its constructor, its loss, both heads."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch
from loop import Lesson
from torch import Tensor

from conformance.scenes.drawing import CLASSES
from conformance.scenes.labelled import Labels

# The weights of boxes, classes and distances in the loss: ultralytics' defaults.
_GAINS = SimpleNamespace(box=7.5, cls=0.5, dfl=1.5)


def _construct() -> Any:
    from ultralytics.nn.tasks import DetectionModel

    module = DetectionModel("yolo26n.yaml", ch=3, nc=len(CLASSES), verbose=False)
    module.args = _GAINS
    return module


def _loss(module: Any, images: Tensor, labels: list[Labels]) -> Tensor:
    """The mean over the images of what ultralytics sums: boxes, classes and distances of both heads."""
    height, width = images.shape[2:]
    boxes = torch.cat([label.boxes for label in labels]) / torch.tensor([width, height] * 2)
    corners, opposite = boxes.chunk(2, 1)
    batch = {
        "img": images,
        "batch_idx": torch.cat([torch.full((len(label.classes),), i) for i, label in enumerate(labels)]),
        "cls": torch.cat([label.classes for label in labels]),
        "bboxes": torch.cat([(corners + opposite) / 2, opposite - corners], 1),  # centre and size in 0..1
    }
    total, _ = module.loss({name: value.to(images.device) for name, value in batch.items()})
    return total.sum() / len(labels)


def _deploy(module: Any) -> None:
    """The one-to-many head: its ranking and suppression are done outside."""
    module.eval()
    module.end2end = False
    module.model[-1].export = True


LESSON = Lesson("yolo26n", _construct, _loss, _deploy, ("ultralytics",))
