"""Scenes: the same everywhere, each its own, and labelled exactly."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Sequence
from itertools import product
from typing import cast

import numpy as np
import pytest
import torch

from conformance.models.boxes import overlaps
from conformance.scenes import drawing
from conformance.scenes.drawing import CLASSES, MOST_SHAPES, Scene, draw
from conformance.scenes.labelled import scenes

Box = tuple[int, int, int, int]
SIZES = [(64, 64), (128, 160), (320, 192)]


def some(height: int, width: int, count: int = 60) -> list[Scene]:
    return [draw(height, width, (0, 0, slot)) for slot in range(count)]


def test_every_machine_draws_the_same() -> None:
    """Pixels and labels of a few scenes by their hash: weights and figures in the project hang on them."""
    found = hashlib.sha256()
    for height, width in SIZES:
        for scene in some(height, width, 4):
            found.update(scene.pixels.tobytes())
            found.update(repr([(shape.kind, shape.box) for shape in scene.shapes]).encode())
    assert found.hexdigest()[:16] == "318699af4f18c809"


def test_images_are_a_network_s_input() -> None:
    images, labels = scenes(3, 64, 96, 0)
    assert images.shape == (3, 3, 64, 96)
    assert images.dtype == torch.float32
    assert images.is_contiguous()
    assert images.min() >= 0
    assert images.max() <= 1
    assert images.std() > 0.1
    for label in labels:
        count = len(label.classes)
        assert label.boxes.shape == (count, 4)
        assert label.boxes.dtype == torch.float32
        assert 1 <= count <= MOST_SHAPES
        assert label.classes.dtype == torch.int64


def test_every_index_slot_and_purpose_has_a_scene_of_its_own() -> None:
    images = torch.cat(
        [scenes(8, 64, 64, index, training=training)[0] for index in (0, 1) for training in (False, True)]
    )
    distances = torch.cdist(images.flatten(1), images.flatten(1)) + torch.eye(len(images)) * 1e9
    assert distances.min() > 5


def test_a_scene_depends_on_its_index_and_slot_alone() -> None:
    torch.manual_seed(0)
    np.random.seed(0)
    many, labels = scenes(5, 64, 64, 3)
    few, fewer = scenes(2, 64, 64, 3)
    assert torch.equal(many[:2], few)
    assert all(torch.equal(a.boxes, b.boxes) for a, b in zip(labels[:2], fewer, strict=True))


def painted(monkeypatch: pytest.MonkeyPatch, height: int, width: int, slot: int) -> tuple[np.ndarray, Scene]:
    """Where a scene's shapes are, (height, width) bool: on two other grounds these pixels alone stay the same."""
    drawn = []
    for level in (-1000, 1000):
        ground = np.full((height, width, 3), level)
        monkeypatch.setattr(drawing, "_ground", lambda *_, ground=ground: ground)
        drawn.append(draw(height, width, (0, 0, slot)))
    return (drawn[0].pixels == drawn[1].pixels).all(-1), drawn[0]


def misfits(pixels: np.ndarray, boxes: Sequence[Box]) -> list[str]:
    """What is wrong with boxes around these pixels."""
    inside = np.zeros_like(pixels)
    wrong = []
    for x1, y1, x2, y2 in boxes:
        inside[y1:y2, x1:x2] = True
        sides = {"left": pixels[y1:y2, x1], "right": pixels[y1:y2, x2 - 1]}
        sides |= {"top": pixels[y1, x1:x2], "bottom": pixels[y2 - 1, x1:x2]}
        wrong += [f"nothing at the {name}" for name, side in sides.items() if not side.any()]
    return wrong + ["a pixel outside"] * bool((pixels & ~inside).any())


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_shapes_lie_in_their_boxes_and_touch_all_sides(
    monkeypatch: pytest.MonkeyPatch, height: int, width: int
) -> None:
    for slot in range(40):
        pixels, scene = painted(monkeypatch, height, width, slot)
        assert misfits(pixels, [shape.box for shape in scene.shapes]) == []


def test_boxes_that_are_off_by_one_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels, scene = next(
        found for slot in range(40) if len((found := painted(monkeypatch, 64, 64, slot))[1].shapes) == 1
    )
    box = scene.shapes[0].box
    for side, step in product(range(4), (-1, 1)):
        off = tuple(edge + step * (place == side) for place, edge in enumerate(box))
        if min(off) >= 0 and max(off) < 64:
            assert misfits(pixels, [cast(Box, off)]), off


def test_shapes_are_of_every_class_and_size_and_overlap_little() -> None:
    drawn = [scene.shapes for scene in some(128, 128, 300)]
    shapes = [shape for scene in drawn for shape in scene]
    kinds = np.bincount([shape.kind for shape in shapes], minlength=len(CLASSES))
    assert len(kinds) == len(CLASSES)
    assert kinds.min() > len(shapes) / 6
    sides = [max(shape.mask.shape) / 128 for shape in shapes]
    assert 0.1 < min(sides) < 0.15
    assert 0.45 < max(sides) <= 0.5
    assert {len(scene) for scene in drawn} == {1, 2, 3, 4, 5, 6}
    for scene in drawn:
        boxes = np.array([shape.box for shape in scene], dtype=float)
        assert (overlaps(boxes, boxes) - np.eye(len(boxes))).max() < 0.2


def test_drawing_needs_no_torch() -> None:
    code = "import conformance.scenes.labelled, conformance.scenes.drawing, sys; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"
