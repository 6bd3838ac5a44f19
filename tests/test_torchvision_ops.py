"""What stands in for torchvision's kernels gives what they give."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from conformance.core.requirements import missing_packages
from conformance.models.torchvision_ops import own_kernels, pool_regions, suppress

if reason := missing_packages({"torchvision": "rcnn"}, "this"):
    pytest.skip(reason, allow_module_level=True)


def random_boxes(count: int, size: float, seed: int) -> Tensor:
    corners, sides = torch.rand(2, count, 2, generator=torch.Generator().manual_seed(seed))
    return torch.cat([corners, corners + sides * 0.5], 1) * size


def in_images(boxes: Tensor, images: int) -> Tensor:
    """With the number of an image before each."""
    return torch.cat([torch.arange(len(boxes))[:, None] % images, boxes], 1)


def one_by_one(boxes: Tensor, scores: Tensor, threshold: float) -> list[int]:
    """Suppression as it is defined, from torchvision's own overlaps."""
    from torchvision.ops import box_iou

    overlaps = box_iou(boxes, boxes)
    kept: list[int] = []
    for index in scores.argsort(descending=True, stable=True).tolist():
        if all(overlaps[index, other] <= threshold for other in kept):
            kept.append(index)
    return kept


def bilinear(features: Tensor, y: float, x: float) -> Tensor:
    """One sample of (C, H, W)."""
    height, width = features.shape[1:]
    if not (-1 <= y <= height and -1 <= x <= width):
        return features.new_zeros(len(features))
    y, x = max(y, 0), max(x, 0)
    top, left = min(int(y), height - 1), min(int(x), width - 1)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    dy, dx = (y - top if bottom > top else 0.0), (x - left if right > left else 0.0)
    upper = features[:, top, left] * (1 - dx) + features[:, top, right] * dx
    lower = features[:, bottom, left] * (1 - dx) + features[:, bottom, right] * dx
    return upper * (1 - dy) + lower * dy


@pytest.mark.parametrize("threshold", [0.1, 0.5, 0.7])
def test_suppression_keeps_the_best_of_each_heap(threshold: float) -> None:
    own_kernels()
    boxes, scores = random_boxes(200, 100, seed=1), torch.rand(200, generator=torch.Generator().manual_seed(2))
    scores = scores.mul(20).round()  # many are as good as others
    kept = suppress(boxes, scores, threshold)
    assert kept.dtype == torch.int64
    assert 10 < len(kept) < 200
    assert kept.tolist() == one_by_one(boxes, scores, threshold)
    assert kept.tolist() != one_by_one(boxes, -scores, threshold)


def test_suppression_of_nothing_is_nothing() -> None:
    assert suppress(torch.empty(0, 4), torch.empty(0), 0.5).shape == (0,)


@pytest.mark.parametrize("size", [(1, 1), (5, 7)])
def test_regions_are_means_of_bilinear_samples(size: tuple[int, int]) -> None:
    features = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(3))
    regions = in_images(random_boxes(6, 60, seed=4), images=2)  # of maps up to 56 pixels wide: some reach beyond
    pooled = pool_regions(features, regions, 1 / 8, 4, 4, 2)
    for region, given in zip(regions, pooled, strict=True):
        image, (left, top, right, bottom) = int(region[0]), (region[1:] / 8).tolist()
        step_y, step_x = max(bottom - top, 1) / 8, max(right - left, 1) / 8
        samples = [
            bilinear(features[image], top + step_y * (row + 0.5), left + step_x * (column + 0.5))
            for row in range(8)
            for column in range(8)
        ]
        wanted = torch.stack(samples, 1).view(3, 4, 2, 4, 2).mean((2, 4))
        torch.testing.assert_close(given, wanted, rtol=1e-4, atol=1e-5)


def test_image_without_regions() -> None:
    regions = in_images(random_boxes(3, 60, seed=5), images=1)
    features = torch.rand(2, 3, 5, 7, generator=torch.Generator().manual_seed(6))
    assert torch.equal(
        pool_regions(features, regions, 0.1, 7, 7, 2), pool_regions(features[:1], regions, 0.1, 7, 7, 2)
    )
    assert pool_regions(features, regions[:0], 0.1, 7, 7, 2).shape == (0, 3, 7, 7)


def test_torchvision_calls_them() -> None:
    """Or its own kernels, where they load, which give the same."""
    own_kernels()
    from torchvision.ops import nms, roi_align

    boxes, scores = random_boxes(300, 100, seed=7), torch.rand(300, generator=torch.Generator().manual_seed(8))
    assert torch.equal(nms(boxes, scores, 0.5), suppress(boxes, scores, 0.5))
    features, regions = torch.rand(2, 4, 9, 9, generator=torch.Generator().manual_seed(9)), in_images(boxes, 2)
    pooled = pool_regions(features, regions, 0.08, 7, 7, 2)
    torch.testing.assert_close(roi_align(features, regions, 7, 0.08, 2), pooled, rtol=1e-4, atol=1e-5)
    other = roi_align(features, regions, 7, 0.08, 2, aligned=True)
    assert not torch.allclose(other, pooled, atol=1e-2), "torchvision's own way, not ours"
