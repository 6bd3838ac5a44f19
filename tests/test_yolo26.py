"""YOLO26: what it is, and that every layer of it is alive, so that a fault in any of them can be seen."""

from __future__ import annotations

import copy

import pytest
import torch
from cells import cell
from torch import Tensor

from conformance.cases.case import Case
from conformance.compare.metrics import by_image, rel_l2
from conformance.golden.reference import Golden, record
from conformance.systems.protocol import Model
from conformance.systems.yolo26 import Yolo26

pytest.importorskip("ultralytics")
SYSTEM = Yolo26()


def case(batch: int, height: int, width: int) -> Case:
    return cell("yolo26", "n", "detect", batch, height, width, "float32", target="")


@pytest.fixture(scope="module", params=["n", pytest.param("s", marks=pytest.mark.slow)])
def model(request: pytest.FixtureRequest) -> Model:
    return SYSTEM.build(request.param, "detect")


@torch.no_grad()
def layers_of(model: Model, images: Tensor, dtype: torch.dtype) -> Golden:
    return record(copy.deepcopy(model.module).to(dtype), model.layers, (images.to(dtype),))


def test_every_layer_is_alive(model: Model) -> None:
    """In every layer another image is further away than bfloat16 rounding is, and float32 rounding far less."""
    images, others = (SYSTEM.inputs(case(2, 320, 320).subject, index)[0] for index in (0, 1))
    exact = layers_of(model, images, torch.float64)
    other = layers_of(model, others, torch.float64)
    half, single = (layers_of(model, images, dtype) for dtype in (torch.bfloat16, torch.float32))
    for path in model.layers:
        reference = by_image(exact.of_layer(path))
        other_image, bf16, fp32 = (rel_l2(by_image(run.of_layer(path)), reference) for run in (other, half, single))
        assert (other_image > bf16).all(), f"{path}: other image {other_image}, bf16 {bf16}"
        assert (other_image > 1000 * fp32).all(), f"{path}: other image {other_image}, fp32 {fp32}"


def test_scores_are_spread_and_boxes_are_boxes(model: Model) -> None:
    """Dead weights give scores that are all alike; these tell cells apart and cross the usual threshold."""
    images = SYSTEM.inputs(case(2, 320, 320).subject, 0)[0]
    output = model.module(images)
    scores = output[:, 4:].amax(1)
    assert output.shape == (2, 84, 2100)
    assert scores.min() < 0.1
    assert scores.max() > 0.5
    assert ((scores > 0.25).sum(1) > 5).all()
    assert (output[:, 2:4].median(-1).values > 8).all(), "widths and heights in pixels"


def test_layers_are_those_of_the_built_model(model: Model) -> None:
    assert model.layers == tuple(f"model.{i}" for i in range(24)) == SYSTEM.layers("n", "detect")
    assert type(model.module.get_submodule("model.10")).__name__ == "C2PSA"
    assert type(model.module.get_submodule("model.23")).__name__ == "Detect"
    reached = record(copy.deepcopy(model.module), model.layers, SYSTEM.inputs(case(1, 64, 64).subject, 0))
    assert set(reached.results) == set(model.layers)


@pytest.mark.slow
def test_weights_are_the_same_built_anew_or_from_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    first = SYSTEM.build("n", "detect")
    monkeypatch.setenv("CONFORMANCE_CACHE", str(tmp_path))
    anew, from_disk = SYSTEM.build("n", "detect"), SYSTEM.build("n", "detect")
    assert first.key == anew.key == from_disk.key != SYSTEM.build("s", "detect").key
    for name, value in first.module.state_dict().items():
        assert torch.equal(value, anew.module.state_dict()[name]), name
        assert torch.equal(value, from_disk.module.state_dict()[name]), name


def test_building_leaves_the_random_state_alone() -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    SYSTEM.build("n", "detect")
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize(("height", "width", "anchors"), [(64, 64, 84), (64, 96, 126), (192, 320, 1260)])
def test_resolutions_square_and_not(height: int, width: int, anchors: int) -> None:
    module = SYSTEM.build("n", "detect").module
    assert module(SYSTEM.inputs(case(2, height, width).subject, 0)[0]).shape == (2, 84, anchors)


def test_every_place_of_the_batch_and_every_index_has_another_real_image() -> None:
    images = torch.cat([SYSTEM.inputs(case(4, 320, 320).subject, index)[0] for index in (0, 1)])
    assert images.shape == (8, 3, 320, 320)
    assert images.dtype == torch.float32
    assert images.min() >= 0
    assert images.max() <= 1
    assert (images.flatten(1).std(dim=1) > 0.05).all(), "a photograph, not a plain patch"
    distances = torch.cdist(images.flatten(1), images.flatten(1)) + torch.eye(8) * 1e9
    assert distances.min() > 10
    again = SYSTEM.inputs(case(4, 320, 320).subject, 0)[0]
    assert torch.equal(again, images[:4])


def test_photograph_smaller_than_the_resolution_is_continued() -> None:
    images = SYSTEM.inputs(case(2, 1280, 1280).subject, 0)[0]
    assert images.shape == (2, 3, 1280, 1280)
    assert images[:, :, -32:].std() > 0
