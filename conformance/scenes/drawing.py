"""One scene: shapes painted on a ground. Integers only, so that every machine paints the same pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

CLASSES = ("circle", "square", "triangle", "cross")

SMALLEST, LARGEST = 120, 500  # of a shape's sides, in thousandths of the shorter side of the image
MOST_SHAPES = 6
_MOST_COVERED = 0.15  # how much of the smaller of two boxes may lie in the other one
_TRIES = 20  # places tried for a shape before it is left out


@dataclass(frozen=True)
class Shape:
    """A shape in a scene. Its mask, (height, width) bool, begins at `top` and `left` and touches all four sides."""

    kind: int
    top: int
    left: int
    mask: np.ndarray

    @property
    def box(self) -> tuple[int, int, int, int]:
        """x1, y1, x2, y2 in pixels; the last column is x2 - 1."""
        height, width = self.mask.shape
        return self.left, self.top, self.left + width, self.top + height


@dataclass(frozen=True)
class Scene:
    """Pixels (height, width, 3) uint8, RGB, and the shapes in the order they were painted."""

    pixels: np.ndarray
    shapes: tuple[Shape, ...]


def draw(height: int, width: int, seed: tuple[int, ...]) -> Scene:
    """The scene of a seed: one to six shapes, of which later ones may cover a corner of earlier ones."""
    random = np.random.Generator(np.random.PCG64(seed))
    base = random.integers(0, 256, 3)
    shapes: list[Shape] = []
    for _ in range(random.integers(1, MOST_SHAPES + 1)):
        for _ in range(_TRIES):
            shape = _shape(random, height, width)
            if all(_covered(shape.box, other.box) <= _MOST_COVERED for other in shapes):
                shapes.append(shape)
                break
    pixels = _ground(random, height, width, base)
    for shape in shapes:
        x1, y1, x2, y2 = shape.box
        # Half the range away from the ground in every channel, more or less: no shape is invisible.
        pixels[y1:y2, x1:x2][shape.mask] = (base + random.integers(48, 209, 3)) % 256
    strength = random.integers(4, 33)
    pixels += random.integers(-strength, strength + 1, pixels.shape)
    return Scene(pixels.clip(0, 255).astype(np.uint8), tuple(shapes))


def _shape(random: np.random.Generator, height: int, width: int) -> Shape:
    """A shape of any class, size and place."""
    kind = int(random.integers(len(CLASSES)))
    size = int(random.integers(SMALLEST, LARGEST + 1)) * min(height, width)
    narrower = int(random.integers(750, 1001))  # the shorter side, in thousandths of the longer one
    sides = size // 1000, size * narrower // 1_000_000
    mask = _mask(kind, *(sides if random.integers(2) else sides[::-1]), turns=int(random.integers(4)))
    top = int(random.integers(height - mask.shape[0] + 1))
    left = int(random.integers(width - mask.shape[1] + 1))
    return Shape(kind, top, left, mask)


def _mask(kind: int, height: int, width: int, turns: int) -> np.ndarray:
    """Which pixels of about height x width belong to the shape; without the rows and columns it does not reach."""
    y = 2 * np.arange(height)[:, None] + 1 - height  # of the pixels' centres, from -height to height
    x = 2 * np.arange(width)[None] + 1 - width
    mask = np.rot90(_INSIDE[CLASSES[kind]](x, y, width, height), turns)
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


_INSIDE: dict[str, Callable[[np.ndarray, np.ndarray, int, int], np.ndarray]] = {
    "circle": lambda x, y, width, height: (x * height) ** 2 + (y * width) ** 2 <= (width * height) ** 2,
    "square": lambda x, y, width, height: (abs(x) < width) & (abs(y) < height),
    "triangle": lambda x, y, width, height: 2 * abs(x) * height <= (y + height) * width,
    "cross": lambda x, y, width, height: (3 * abs(x) <= width) | (3 * abs(y) <= height),
}


def _covered(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> float:
    """How much of the smaller box the two have in common, 0 to 1."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    smaller = min((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return max(width, 0) * max(height, 0) / smaller


def _ground(random: np.random.Generator, height: int, width: int, base: np.ndarray) -> np.ndarray:
    """(height, width, 3) int64: a colour that changes slowly over the image."""
    cells = int(random.integers(2, 9))
    grid = (base + random.integers(-40, 41, (cells, cells, 3))).clip(0, 255).astype(np.uint8)
    return np.asarray(Image.fromarray(grid).resize((width, height), Image.Resampling.BILINEAR)).astype(np.int64)
