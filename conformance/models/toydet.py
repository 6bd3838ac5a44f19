"""A detector of about 98,000 parameters: four blocks down to stride 16, one back up, a head of two branches."""

from __future__ import annotations

import torch
from torch import Tensor, nn

CELL = 8  # pixels from one cell to the next


class Block(nn.Sequential):
    """Convolution, batch norm, SiLU."""

    def __init__(self, before: int, after: int, kernel: int = 3, stride: int = 1) -> None:
        conv = nn.Conv2d(before, after, kernel, stride, padding=kernel // 2, bias=False)
        super().__init__(conv, nn.BatchNorm2d(after), nn.SiLU())


class Residual(nn.Module):
    """Adds to its input what a narrow pair of convolutions makes of it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.narrow = Block(channels, channels // 2, kernel=1)
        self.widen = Block(channels // 2, channels)

    def forward(self, x: Tensor) -> Tensor:
        """The same shape in and out."""
        widened: Tensor = self.widen(self.narrow(x))
        return x + widened


class ToyDetector(nn.Module):
    """(B, 3, H, W) images in 0..1, to (B, 4 + classes, H / 8 * W / 8): centre x, centre y, width and height of a
    box in pixels, and a score in 0..1 for each class. H and W are divisible by 16."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.stem = Block(3, 16, stride=2)
        self.fine = nn.Sequential(Block(16, 32, stride=2), Residual(32))
        self.middle = nn.Sequential(Block(32, 48, stride=2), Residual(48))
        self.coarse = nn.Sequential(Block(48, 56, stride=2), Residual(56), nn.Upsample(scale_factor=2))
        self.join = Block(48 + 56, 40, kernel=1)
        self.boxes = nn.Sequential(Block(40, 24), nn.Conv2d(24, 4, 1))
        self.scores = nn.Sequential(Block(40, 24), nn.Conv2d(24, classes, 1))

    def raw(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 4, cells) boxes in pixels and (B, classes, cells) scores before the sigmoid."""
        middle = self.middle(self.fine(self.stem(images)))
        joined = self.join(torch.cat([middle, self.coarse(middle)], 1))
        offsets, sizes = self.boxes(joined).split([2, 2], 1)
        centres = (offsets + _centres(joined)) * CELL
        boxes = torch.cat([centres, sizes.exp() * CELL], 1)
        return boxes.flatten(2), self.scores(joined).flatten(2)

    def forward(self, images: Tensor) -> Tensor:
        """Boxes and scores."""
        boxes, scores = self.raw(images)
        return torch.cat([boxes, scores.sigmoid()], 1)


def _centres(cells: Tensor) -> Tensor:
    """(2, rows, columns): x and y of the middles of the cells, in cells."""
    rows, columns = (torch.arange(n, device=cells.device, dtype=cells.dtype) + 0.5 for n in cells.shape[2:])
    return torch.stack(torch.meshgrid(columns, rows, indexing="xy"))
