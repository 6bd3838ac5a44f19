"""A user's own pictures: a folder of them and, where it has COCO's annotations beside them, what is in each."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from pydantic import BaseModel, Field

from conformance.core.errors import UserError
from conformance.core.reading import read_json
from conformance.scenes.letterbox import Letterbox

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".webp")
LABELS = "labels.json"
_GREY = 114  # what ultralytics pads with in training, so that networks expect it


@dataclass(frozen=True, eq=False)
class PictureLabels:
    """What is in a picture: boxes (n, 4) float64, x1 y1 x2 y2 in its pixels, and their classes (n,) int64."""

    boxes: np.ndarray
    classes: np.ndarray


@dataclass(frozen=True, eq=False)
class Picture:
    """A file and its labels; None where the folder has none."""

    path: Path
    labels: PictureLabels | None

    def fitted(self, height: int, width: int) -> tuple[np.ndarray, Letterbox]:
        """The picture in an input of this shape, (height, width, 3) uint8 RGB, and where it lies there. Raises
        UserError for a file that is no picture."""
        try:
            with Image.open(self.path) as file:
                upright = ImageOps.exif_transpose(file).convert("RGB")
        except Exception:  # noqa: BLE001 (Pillow has many; ultralytics' own in its place then looks for another package)
            raise UserError(f"{self.path} cannot be read as a picture") from None
        box = Letterbox(upright.height, upright.width, height, width)
        (tall, wide), (top, left) = box.size, box.corner
        pixels = np.full((height, width, 3), _GREY, dtype=np.uint8)
        resized = upright.resize((wide, tall), Image.Resampling.BILINEAR)
        pixels[top : top + tall, left : left + wide] = np.asarray(resized)
        return pixels, box


class _Image(BaseModel):
    id: int
    file_name: str


class _Annotation(BaseModel):
    image_id: int
    category_id: int
    bbox: tuple[float, float, float, float] = Field(description="left, top, width, height")
    iscrowd: int = 0


class _Category(BaseModel):
    id: int


class _Annotations(BaseModel):
    """COCO's file of annotations, as much of it as counts here."""

    images: list[_Image]
    annotations: list[_Annotation]
    categories: list[_Category]


def find_pictures(folder: Path) -> list[Picture]:
    """The pictures of a folder, by name. Where `labels.json` is among them it must name each; classes are the places
    of COCO's category numbers in their order, as in networks trained on them, and crowds are left out.

    Raises UserError for a folder without pictures, and for labels that cannot be read or do not fit.
    """
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder} of pictures")
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise UserError(f"there is no picture in {folder}: give a folder of {', '.join(SUFFIXES)} files")
    if not (file := folder / LABELS).is_file():
        return [Picture(path, None) for path in paths]
    labels = _read(file)
    if unnamed := [path.name for path in paths if path.name not in labels]:
        raise UserError(f"{file} does not name {unnamed[0]} among its images")
    return [Picture(path, labels[path.name]) for path in paths]


def _read(file: Path) -> dict[str, PictureLabels]:
    """The labels of each picture by its name."""
    content = read_json(file, _Annotations)
    classes = {number: index for index, number in enumerate(sorted({kind.id for kind in content.categories}))}
    found: dict[int, list[_Annotation]] = defaultdict(list)
    for annotation in content.annotations:
        if annotation.category_id not in classes:
            raise UserError(f"{file}: category {annotation.category_id} of an annotation is not among its categories")
        if not annotation.iscrowd:
            found[annotation.image_id].append(annotation)
    return {image.file_name: _labels(found[image.id], classes) for image in content.images}


def _labels(annotations: list[_Annotation], classes: dict[int, int]) -> PictureLabels:
    boxes = np.array([annotation.bbox for annotation in annotations], dtype=np.float64).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    return PictureLabels(boxes, np.array([classes[a.category_id] for a in annotations], dtype=np.int64))
