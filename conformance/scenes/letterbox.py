"""A photograph in a network's input of another shape: scaled alike in both directions, in the middle, padded."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from conformance.core.errors import UserError


@dataclass(frozen=True)
class Letterbox:
    """Where a photograph of height x width lies in an input of input_height x input_width pixels.

    Raises UserError where one of them is not positive.
    """

    height: int
    width: int
    input_height: int
    input_width: int

    def __post_init__(self) -> None:
        sizes = (self.height, self.width, self.input_height, self.input_width)
        if min(sizes) < 1:
            raise UserError(f"a letterbox of {sizes} pixels: heights and widths must be positive")

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the photograph in the input, in whole pixels: one of them is the input's."""
        scale = min(self.input_height / self.height, self.input_width / self.width)
        return max(1, round(self.height * scale)), max(1, round(self.width * scale))

    @property
    def corner(self) -> tuple[int, int]:
        """Its top and left in the input; a padding of odd size has its larger half below and to the right."""
        height, width = self.size
        return (self.input_height - height) // 2, (self.input_width - width) // 2

    def place(self, boxes: np.ndarray) -> np.ndarray:
        """Boxes (n, 4), x1 y1 x2 y2, from pixels of the photograph to pixels of the input."""
        scale, shift = self._geometry()
        return np.asarray(boxes * scale + shift)

    def restore(self, boxes: np.ndarray) -> np.ndarray:
        """Boxes (n, 4) from pixels of the input to pixels of the photograph, clipped to it."""
        scale, shift = self._geometry()
        return np.asarray((boxes - shift) / scale).clip(0, np.tile([self.width, self.height], 2))

    def _geometry(self) -> tuple[np.ndarray, np.ndarray]:
        """Scale and shift of x1, y1, x2, y2. Whole pixels make the scales of x and y differ by a trifle."""
        (height, width), (top, left) = self.size, self.corner
        return np.tile([width / self.width, height / self.height], 2), np.tile([left, top], 2)
