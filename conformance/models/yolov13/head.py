"""The detection head: anchor-free, distances to the four sides as distributions over 16 bins."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from conformance.models.yolov13.convolution import Conv, DSConv

BINS = 16
STRIDES = (8, 16, 32)


class Branches(nn.Module):
    """One scale, (B, C, H, W), to (B, 4 * BINS + classes, H, W): logits of the distances, then of the classes."""

    def __init__(self, inputs: int, box: int, score: int, classes: int) -> None:
        super().__init__()
        self.boxes = nn.Sequential(Conv(inputs, box, 3), Conv(box, box, 3), nn.Conv2d(box, 4 * BINS, 1))
        self.scores = nn.Sequential(DSConv(inputs, score), DSConv(score, score), nn.Conv2d(score, classes, 1))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.boxes(x), self.scores(x)], dim=1)


class Head(nn.Module):
    """Three scales to (B, 4 + classes, anchors): centre x, centre y, width, height in pixels, then scores in 0..1."""

    def __init__(self, inputs: Sequence[int], classes: int) -> None:
        super().__init__()
        box, score = max(inputs[0] // 4, 4 * BINS), max(inputs[0], classes)
        self.scales = nn.ModuleList(Branches(channels, box, score, classes) for channels in inputs)
        self.classes = classes

    def forward(self, *features: Tensor) -> Tensor:
        logits = torch.cat([branch(x).flatten(2) for branch, x in zip(self.scales, features, strict=True)], dim=2)
        boxes, scores = logits.split([4 * BINS, self.classes], dim=1)  # type: ignore[no-untyped-call]
        bins = torch.arange(BINS, dtype=boxes.dtype, device=boxes.device).reshape(1, 1, BINS, 1)
        distances = (boxes.unflatten(1, (4, BINS)).softmax(dim=2) * bins).sum(dim=2)
        before, after = distances.chunk(2, dim=1)  # left and top, right and bottom
        points, strides = _cells(features)
        centres, sizes = points + (after - before) / 2, before + after
        return torch.cat([centres * strides, sizes * strides, scores.sigmoid()], dim=1)


def _cells(features: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """The centres (2, anchors) of all cells, in cells of their own scale, and their sizes (anchors) in pixels."""
    points, strides = [], []
    for x, stride in zip(features, STRIDES, strict=True):
        height, width = x.shape[2:]
        rows, columns = (torch.arange(size, dtype=x.dtype, device=x.device) + 0.5 for size in (height, width))
        y, x_ = torch.meshgrid(rows, columns, indexing="ij")
        points.append(torch.stack([x_.flatten(), y.flatten()]))
        strides.append(torch.full((height * width,), float(stride), dtype=x.dtype, device=x.device))
    return torch.cat(points, dim=1), torch.cat(strides)
