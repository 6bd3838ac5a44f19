"""Images for a model that is given none of its own: crops of photographs, scenes where there are no photographs, or a
user's pictures."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor

from conformance.core.errors import UserError
from conformance.scenes.labelled import as_input, scenes
from conformance.scenes.pictures import find_pictures
from conformance.systems.building.images import crops

# Of ImageNet's images, by which torchvision, timm and transformers normalise.
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def images(
    batch: int,
    size: tuple[int, int],
    index: int,
    channels: int = 3,
    normalised: bool = False,
    folder: str | None = None,
) -> Tensor:
    """(batch, channels, height, width) float32 in 0..1, or normalised. Another index, and another place in the batch,
    has another image; of a folder of pictures they come round again. Raises UserError for what is no picture."""
    if folder is not None:
        pixels = _pictures(Path(folder), batch, size, index)
    elif find_spec("ultralytics"):
        pixels = crops(batch, *size, index)
    else:
        pixels = scenes(batch, *size, index)[0]
    if normalised:
        mean, std = (torch.tensor(values).reshape(3, 1, 1) for values in (_MEAN, _STD))
        pixels = (pixels - mean) / std
    return pixels if channels == 3 else _with_channels(pixels, channels)


def _pictures(folder: Path, batch: int, size: tuple[int, int], index: int) -> Tensor:
    """As many pictures as a batch has, letterboxed; those of another index begin where the last batch ended."""
    found = find_pictures(folder)
    if len(found) < 2:
        raise UserError(
            f"there is one picture in {folder}: two are needed, or an answer that is always the same is right"
        )
    start = index * (batch if len(found) > batch else 1)  # of few, at least another order
    return as_input([found[(start + slot) % len(found)].fitted(*size)[0] for slot in range(batch)])


def _with_channels(pixels: Tensor, channels: int) -> Tensor:
    """Images of other channels than colours: those of a few pictures, one behind the other."""
    repeated = [pixels.roll(turn, 0).flip(3) if turn % 2 else pixels for turn in range(-(-channels // 3))]
    return torch.cat(repeated, 1)[:, :channels].contiguous()
