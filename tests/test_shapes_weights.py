"""The weights in `fixtures/weights` detect: what is recorded beside them is what they give, and a fault costs it."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
import torch
from cells import cell
from safetensors.torch import load_file
from torch import nn

from conformance.core.errors import UserError
from conformance.core.reading import fixture_path
from conformance.detections.average_precision import average_precision
from conformance.detections.postprocess import from_cells, from_rows
from conformance.scenes.drawing import CLASSES
from conformance.scenes.labelled import scenes
from conformance.systems.protocol import Model
from conformance.systems.toy import ToyDet
from conformance.systems.yolo26 import Yolo26

pytest.importorskip("faster_coco_eval")
LIMITS = {"toydet": 450_000, "yolo26n": 6_000_000}  # bytes that the repository can bear


def recorded(name: str) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(fixture_path("weights", f"{name}-shapes.json").read_text())
    return facts


@torch.no_grad()
def precision(module: nn.Module, count: int, height: int, width: int) -> float:
    """AP on so many held-out scenes, 20 a batch."""
    found, labels = [], []
    for index in range(count // 20):
        images, known = scenes(20, height, width, index)
        found += from_cells(module(images))
        labels += known
    return average_precision(found, labels, len(CLASSES)).ap


@pytest.fixture(scope="module")
def toy() -> Model:
    return ToyDet().build("98k", "detect")


@pytest.fixture(scope="module")
def yolo() -> Model:
    pytest.importorskip("ultralytics")
    return Yolo26().build("n", "detect", "shapes")


@pytest.mark.parametrize("name", LIMITS)
def test_files_are_small_and_in_float16(name: str) -> None:
    path = fixture_path("weights", f"{name}-shapes.safetensors")
    state = load_file(path)
    assert path.stat().st_size <= LIMITS[name]
    assert {value.dtype for value in state.values()} == {torch.float16}
    assert all(value.isfinite().all() for value in state.values())


@pytest.mark.parametrize("name", LIMITS)
def test_the_record_says_what_was_trained(name: str) -> None:
    facts = recorded(name)
    assert facts["command"].startswith(f"python training/shapes.py {name}")
    assert facts["classes"] == list(CLASSES)
    assert all(figures["scenes"] >= 300 for figures in facts["held_out"].values())


@pytest.mark.parametrize(("height", "width"), [(64, 64), (64, 96)])
def test_toy_detector_gives_the_recorded_precision(toy: Model, height: int, width: int) -> None:
    written = recorded("toydet")["held_out"][f"{height}x{width}"]["ap"]
    assert written > 0.6
    assert precision(toy.module, 100, height, width) == pytest.approx(written, abs=0.05)


def test_yolo26n_gives_the_recorded_precision(yolo: Model) -> None:
    written = recorded("yolo26n")["held_out"]["128x160"]["ap"]
    assert written > 0.6
    assert precision(yolo.module, 60, 128, 160) == pytest.approx(written, abs=0.05)


def test_the_other_head_of_yolo26n_is_trained_too() -> None:
    pytest.importorskip("ultralytics")
    module = Yolo26().build("n", "detect-end2end", "shapes").module
    images, labels = scenes(20, 128, 128, 0)
    with torch.no_grad():
        found = from_rows(module(images))
    assert average_precision(found, labels, len(CLASSES)).ap > 0.8


@pytest.mark.parametrize("layer", ["boxes.1", "scores.1"])
def test_shuffled_channels_of_the_head_cost_precision(toy: Model, layer: str) -> None:
    broken = copy.deepcopy(toy.module)
    for name in ("weight", "bias"):
        values = broken.get_parameter(f"{layer}.{name}")
        values.copy_(values.roll(1, 0))
    assert precision(broken, 40, 64, 64) < precision(toy.module, 40, 64, 64) - 0.5


def test_a_lost_class_costs_its_share(toy: Model) -> None:
    """One class of four: about a quarter of the precision, no more and no less."""
    broken = copy.deepcopy(toy.module)
    broken.get_parameter("scores.1.bias")[2] = -100
    whole, rest = (precision(module, 60, 64, 64) for module in (toy.module, broken))
    assert 0.15 < (whole - rest) / whole < 0.35


def test_toy_detector_is_what_it_says(toy: Model) -> None:
    system = ToyDet()
    inputs = system.inputs(cell("toydet", "98k", "detect", 3, 64, 80, "float32", target="").subject, 0)
    assert toy.module(*inputs).shape == (3, 4 + len(CLASSES), 8 * 10)
    assert system.parameters("98k", "detect") == recorded("toydet")["parameters"] == 97904
    assert system.missing() is None
    assert 80 % system.stride("detect") == 0
    assert toy.layers == system.layers("98k", "detect") == tuple(dict(toy.module.named_children()))
    assert toy.key == system.build("98k", "detect", "shapes").key


def test_toy_detector_takes_no_other_weights() -> None:
    with pytest.raises(UserError, match="takes no others"):
        ToyDet().build("98k", "detect", "pretrained")
