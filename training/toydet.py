"""The toy detector learns: each shape belongs to the cells around its centre."""

from __future__ import annotations

import torch
from loop import Lesson
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from conformance.models.toydet import CELL, ToyDetector
from conformance.scenes.drawing import CLASSES
from conformance.scenes.labelled import Labels

_BOX_GAIN = 2.0


def _loss(module: ToyDetector, images: Tensor, labels: list[Labels]) -> Tensor:
    """Generalized IoU of the boxes, and cross entropy of the scores, whose goal is the IoU of the box; per cell
    that has a shape."""
    boxes, scores = module.raw(images)
    image, cell, shape = (places.to(images.device) for places in _assign(labels, *images.shape[2:]))
    wanted = torch.cat([label.boxes for label in labels]).to(images.device)[shape]
    classes = torch.cat([label.classes for label in labels]).to(images.device)[shape]
    iou, generalized = _overlap(_corners(boxes[image, :, cell]), wanted)
    goal = torch.zeros_like(scores)
    goal[image, classes, cell] = iou.detach()
    of_scores = binary_cross_entropy_with_logits(scores, goal, reduction="sum")
    return (_BOX_GAIN * (1 - generalized).sum() + of_scores) / max(len(cell), 1)


def _assign(labels: list[Labels], height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
    """Image, cell and shape (its number in the batch) of each cell less than a cell away from a shape's centre."""
    y, x = torch.meshgrid(torch.arange(height // CELL), torch.arange(width // CELL), indexing="ij")
    cells = (torch.stack([x, y], -1).reshape(-1, 2) + 0.5) * CELL
    found, before = [], 0
    for image, label in enumerate(labels):
        centres = (label.boxes[:, :2] + label.boxes[:, 2:]) / 2
        distance, nearest = torch.cdist(cells, centres, p=torch.inf).min(1)
        near = (distance < CELL).nonzero()[:, 0]
        found.append(torch.stack([torch.full_like(near, image), near, nearest[near] + before]))
        before += len(centres)
    image, cell, shape = torch.cat(found, 1)
    return image, cell, shape


def _corners(boxes: Tensor) -> Tensor:
    """x1, y1, x2, y2 of (n, 4) centres, widths and heights."""
    centre, size = boxes.chunk(2, 1)
    return torch.cat([centre - size / 2, centre + size / 2], 1)


def _overlap(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """IoU and generalized IoU of pairs of boxes, (n,) each."""
    common = (torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])).clamp(min=0).prod(1)
    hull = (torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])).prod(1)
    union = (a[:, 2:] - a[:, :2]).prod(1) + (b[:, 2:] - b[:, :2]).prod(1) - common
    iou = common / union
    return iou, iou - (hull - union) / hull


LESSON = Lesson("toydet", lambda: ToyDetector(len(CLASSES)), _loss)
