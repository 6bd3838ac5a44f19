"""The images a case is fed with: crops of the two photographs inside the ultralytics package, or labelled scenes."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from random import Random

import numpy as np
from PIL import Image
from torch import Tensor

from conformance.cases.case import Subject
from conformance.scenes.labelled import SceneLabels, as_input, scenes

PHOTOGRAPHS = ("bus.jpg", "zidane.jpg")


def images(subject: Subject, index: int) -> tuple[Tensor, ...]:
    """One input, (batch, 3, height, width) float32 in 0..1: what its weights were trained on, or crops."""
    assert subject.height is not None
    assert subject.width is not None
    if subject.weights == "shapes":
        return (scenes(subject.batch, subject.height, subject.width, index)[0],)
    return (crops(subject.batch, subject.height, subject.width, index),)


def labels(subject: Subject, index: int) -> list[SceneLabels] | None:
    """What is in those images, where it is known."""
    assert subject.height is not None
    assert subject.width is not None
    return scenes(subject.batch, subject.height, subject.width, index)[1] if subject.weights == "shapes" else None


@cache
def _photograph(name: str) -> np.ndarray:
    """(height, width, 3) uint8, RGB. The package is found, not imported."""
    spec = find_spec("ultralytics")
    assert spec is not None
    assert spec.origin is not None
    with Image.open(Path(spec.origin).parent / "assets" / name) as image:
        return np.asarray(image.convert("RGB"))


def _crop(height: int, width: int, seed: str) -> np.ndarray:
    """A crop at a seeded place of a seeded photograph, repeated at its edges where it is too small."""
    random = Random(seed)
    photograph = _photograph(random.choice(PHOTOGRAPHS))
    missing = [max(0, size - have) for size, have in zip((height, width), photograph.shape, strict=False)]
    photograph = np.pad(photograph, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="reflect")
    top = random.randint(0, photograph.shape[0] - height)
    left = random.randint(0, photograph.shape[1] - width)
    return photograph[top : top + height, left : left + width]


def crops(count: int, height: int, width: int, index: int) -> Tensor:
    """(count, 3, height, width) float32 in 0..1: different crops, and others for another index."""
    return as_input([_crop(height, width, f"{index}/{slot}") for slot in range(count)])
