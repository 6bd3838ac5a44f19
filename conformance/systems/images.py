"""Real images: crops of the two photographs inside the ultralytics package."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

PHOTOGRAPHS = ("bus.jpg", "zidane.jpg")


@cache
def _photograph(name: str) -> np.ndarray:
    """(height, width, 3) uint8, RGB. The package is found, not imported."""
    from PIL import Image

    spec = find_spec("ultralytics")
    assert spec is not None and spec.origin is not None
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
    import torch

    pixels = np.stack([_crop(height, width, f"{index}/{slot}") for slot in range(count)])
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).float().div_(255).contiguous()
