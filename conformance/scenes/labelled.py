"""Scenes as a detector is fed with them, and what it should find."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from conformance.core.deferred import torch
from conformance.scenes.drawing import draw

if TYPE_CHECKING:
    from torch import Tensor

_HELD_OUT, _TRAINING = 0, 1  # the first number of a scene's seed


@dataclass(frozen=True)
class SceneLabels:
    """What is in one image: boxes (n, 4) float32, x1 y1 x2 y2 in pixels, and their classes (n,) int64."""

    boxes: Tensor
    classes: Tensor


def scenes(
    count: int, height: int, width: int, index: int, *, training: bool = False
) -> tuple[Tensor, list[SceneLabels]]:
    """(count, 3, height, width) float32 in 0..1, and the labels of each image.

    Every index and every slot has a scene of its own, whatever the count; those for training are others than
    those without. The classes are numbered as in `drawing.CLASSES`.
    """
    drawn = [draw(height, width, (_TRAINING if training else _HELD_OUT, index, slot)) for slot in range(count)]
    labels = [
        SceneLabels(
            torch.tensor([shape.box for shape in scene.shapes], dtype=torch.float32),
            torch.tensor([shape.kind for shape in scene.shapes]),
        )
        for scene in drawn
    ]
    return as_input([scene.pixels for scene in drawn]), labels


def as_input(pictures: Sequence[np.ndarray]) -> Tensor:
    """Pictures of one size, (height, width, 3) RGB in 0..255, as networks take them: (count, 3, height, width)
    float32 in 0..1."""
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float().div_(255).contiguous()
