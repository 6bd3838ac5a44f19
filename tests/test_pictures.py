"""Detections on a user's own pictures: found in the picture's pixels, and held against its labels."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import suites
import toys
from cells import cell, changed
from PIL import Image

from conformance.cases.case import Case
from conformance.cases.outcome import DetectionFigures
from conformance.core.errors import UserError
from conformance.running.pipeline import run_case
from conformance.scenes.drawing import CLASSES, draw
from conformance.scenes.letterbox import Letterbox
from conformance.scenes.pictures import Picture, find_pictures
from conformance.targets.protocol import Target

CASE = cell("toydet", "98k", "detect", 4, 96, 96, "float32", target="planted", weights="shapes")
COUNT, HEIGHT, WIDTH = 10, 128, 192  # twice as large as in the input, of which a third is padding
NUMBERS = (3, 10, 11, 90)  # as COCO's, with gaps


def coco_annotations(scenes: dict[str, Any]) -> dict[str, Any]:
    """COCO's, of scenes by the names of their files."""
    shapes = [(image, shape) for image, scene in enumerate(scenes.values()) for shape in scene.shapes]
    return {
        "info": {"year": 2026},
        "images": [{"id": image, "file_name": name} for image, name in enumerate(scenes)],
        "annotations": [
            {"image_id": image, "category_id": NUMBERS[shape.kind], "bbox": (x1, y1, x2 - x1, y2 - y1)}
            for image, shape in shapes
            for x1, y1, x2, y2 in [shape.box]
        ],
        "categories": [{"id": number, "name": name} for number, name in zip(NUMBERS, CLASSES, strict=True)][::-1],
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten scenes and their labels."""
    found = tmp_path / "mine"
    found.mkdir()
    scenes = {f"{place}.png": draw(HEIGHT, WIDTH, (7, place)) for place in range(COUNT)}
    for name, scene in scenes.items():
        Image.fromarray(scene.pixels.astype(np.uint8)).save(found / name)
    (found / "labels.json").write_text(json.dumps(coco_annotations(scenes)))
    (found / "notes.txt").write_text("no picture")
    return found


def figures(folder: Path, target: Target = toys.HEALTHY, case: Case = CASE) -> DetectionFigures:
    outcome = run_case(case, "toydet", target, lambda _: None, "shapes", str(folder))
    assert outcome.detections is not None
    return outcome.detections


@pytest.mark.parametrize("batch", [1, 4])
def test_what_a_healthy_device_finds_in_pictures_is_what_is_labelled(folder: Path, batch: int) -> None:
    """With a batch of 4 the third one is filled up, and what fills it up is not counted."""
    found = figures(folder, case=changed(CASE, batch=batch))
    assert (found.images, found.folder) == (COUNT, str(folder))
    labelled = len(json.loads((folder / "labels.json").read_text())["annotations"])
    assert 0.5 * labelled < found.counts[1].reference < 1.5 * labelled
    assert all(not count.lost and not count.spurious for count in found.counts)
    assert found.ap is not None
    assert found.ap == found.reference_ap is not None
    assert found.ap > 0.6


def test_boxes_that_are_not_brought_back_to_the_picture_miss_the_labels(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Letterbox, "restore", lambda self, boxes: boxes)
    found = figures(folder)
    assert found.reference_ap is not None
    assert found.reference_ap < 0.3


def test_fault_loses_detections_in_pictures(folder: Path) -> None:
    found = figures(folder, toys.ZEROED_SCORES)
    assert found.counts[0].lost == found.counts[0].reference > 0
    assert found.ap == 0
    assert found.reference_ap is not None
    assert found.reference_ap > 0.6


def test_pictures_without_labels_are_counted_all_the_same(folder: Path) -> None:
    (folder / "labels.json").unlink()
    found = figures(folder)
    assert found.ap is None
    assert found.no_ap is None
    assert found.counts[0].reference > 0


def test_picture_lies_in_the_middle_of_grey_and_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees, as a telephone writes it that was held upright
    Image.new("RGB", (80, 40), (255, 0, 0)).save(tmp_path / "a.JPG", exif=exif, quality=100)
    (picture,) = find_pictures(tmp_path)
    pixels, box = picture.fitted(64, 96)
    assert (box.size, box.corner) == ((64, 32), (0, 32))
    assert (pixels[:, :32] == 114).all()
    assert (pixels[:, 64:] == 114).all()
    assert pixels[:, 32:64, 0].min() > 250
    assert pixels[:, 32:64, 1:].max() < 5


def test_classes_are_places_of_category_numbers_and_crowds_are_left_out(folder: Path) -> None:
    file = folder / "labels.json"
    content = json.loads(file.read_text())
    content["annotations"] = [
        {"image_id": 0, "category_id": 90, "bbox": [1, 2, 3, 4]},
        {"image_id": 0, "category_id": 3, "bbox": [0, 0, 9, 9], "iscrowd": 1},
        {"image_id": 2, "category_id": 10, "bbox": [5, 5, 5, 5]},
    ]
    file.write_text(json.dumps(content))
    labels = [picture.labels for picture in find_pictures(folder)]
    assert [(found.boxes.tolist(), found.classes.tolist()) for found in labels if found] == [
        ([[1, 2, 4, 6]], [3]), ([], []), ([[5, 5, 10, 10]], [1]), *[([], [])] * 7,
    ]  # fmt: skip


def unnamed(content: dict[str, Any]) -> None:
    del content["images"][1]


def of_another_category(content: dict[str, Any]) -> None:
    content["annotations"][0]["category_id"] = 4


def without_a_box(content: dict[str, Any]) -> None:
    del content["annotations"][0]["bbox"]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (unnamed, "does not name 1.png among its images"),
        (of_another_category, "category 4 of an annotation is not among its categories"),
        (without_a_box, "annotations.0.bbox: Field required"),
    ],
)
def test_labels_that_do_not_fit(folder: Path, spoil: Callable[[dict[str, Any]], None], message: str) -> None:
    content = json.loads((folder / "labels.json").read_text())
    spoil(content)
    (folder / "labels.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match=message):
        find_pictures(folder)


@pytest.mark.parametrize("damage", ["bomb", "header", "data"])
def test_picture_that_is_a_bomb_or_damaged(folder: Path, monkeypatch: pytest.MonkeyPatch, damage: str) -> None:
    path = folder / "5.png"
    Image.effect_noise((64, 64), 50).save(path)
    content = bytearray(path.read_bytes())
    if damage == "bomb":
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)  # as if it had 179 million pixels
    content[{"bomb": 0, "header": 20, "data": 60}[damage]] ^= {"bomb": 0, "header": 0xFF, "data": 0xFF}[damage]
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"5.png cannot be read as a picture"):
        Picture(path, None).fitted(32, 32)


@pytest.mark.parametrize("beside", [None, "ultralytics.utils.patches"])
def test_file_that_is_no_picture(folder: Path, beside: str | None) -> None:
    """Also where ultralytics has put its own function in the place of Pillow's."""
    if beside is not None:
        pytest.importorskip(beside)
    (folder / "5.png").write_bytes(b"nonsense")
    with pytest.raises(UserError, match=r"5.png cannot be read as a picture"):
        figures(folder)


# The option --images

PROFILE = """
description = "The toy detector."
targets = ["toys:HEALTHY"]

[[models]]
system = "toydet"
variants = ["98k"]
tasks = ["detect"]
batches = [2]
resolutions = ["96x96"]
weights = ["shapes"]
"""


@pytest.fixture
def suite(pytester: pytest.Pytester, folder: Path) -> pytest.Pytester:
    pytester.makefile(".toml", toydet=PROFILE, toy=suites.TOY)
    return pytester


def shown(suite: pytest.Pytester, *options: str, profile: str = "toydet.toml") -> pytest.RunResult:
    return suites.run(suite, "-k", "test_detections", "-rs", *options, profile=profile)


def test_record_says_whose_pictures_they_were_and_the_command_shows_them_again(
    suite: pytest.Pytester, folder: Path
) -> None:
    shown(suite, "--images", str(folder)).assert_outcomes(passed=1)
    (record,) = suites.records(suite)
    assert record.detections
    assert record.detections.folder == str(folder)
    assert record.command.endswith(f"--images {folder}")


def test_nothing_to_lose_is_no_success(suite: pytest.Pytester, folder: Path) -> None:
    (folder / "labels.json").unlink()
    for path in folder.glob("*.png"):
        Image.new("RGB", (WIDTH, HEIGHT), (114, 114, 114)).save(path)
    result = shown(suite, "--images", str(folder))
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines([f"*the reference detects nothing in {COUNT} images of {folder}: show it other*"])


def test_bad_folder_is_one_line_before_anything_runs(suite: pytest.Pytester, folder: Path) -> None:
    (empty := folder / "empty").mkdir()
    for given, profile, message in (
        (empty, "toydet.toml", f"there is no picture in {empty}: give a folder of"),
        (folder / "none", "toydet.toml", f"there is no folder {folder / 'none'} of pictures"),
        (folder, "toy.toml", "--images are for models with trained weights, and there is none: say --weights, too"),
    ):
        result = shown(suite, "--images", str(given), profile=profile)
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines([f"ERROR: {message}*"])
