"""Faster R-CNN in stages: together they are torchvision's model, and every layer of them is alive."""

from __future__ import annotations

import copy
from collections import OrderedDict
from typing import Any

import pytest
import torch
import toys
from cells import cell, changed
from torch import Tensor

from conformance.cases.case import Case
from conformance.cases.outcome import Status
from conformance.compare.metrics import by_image, rel_l2
from conformance.golden.reference import record
from conformance.running.pipeline import run_case
from conformance.systems.building import fasterrcnn_stages
from conformance.systems.building.fasterrcnn import _whole, calibrated_stages
from conformance.systems.building.fasterrcnn_stages import construct, stage
from conformance.systems.building.images import crops
from conformance.systems.fasterrcnn import FasterRcnn, levels
from conformance.systems.protocol import Model

if reason := FasterRcnn().missing():
    pytest.skip(reason, allow_module_level=True)
SYSTEM = FasterRcnn()
SPEC = "conformance.systems.fasterrcnn:FasterRcnn"


def case(task: str, batch: int = 1, height: int = 96, width: int = 64) -> Case:
    return cell("fasterrcnn", "mobilenet", task, batch, height, width, "float32", target="")


@pytest.fixture
def few_regions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fasterrcnn_stages, "PROPOSALS", 50)


@pytest.fixture
def whole() -> Any:
    """torchvision's own model at 96 x 64, which it does not resize."""
    model = copy.deepcopy(calibrated_stages("mobilenet")[0])
    model.transform.min_size, model.transform.max_size = (64,), 96
    return model


def photographs(count: int) -> list[Tensor]:
    """What the whole model is given: images in 0..1."""
    return list(crops(count, 96, 64, 0))


class Stages:
    """The stages, on the CPU, where the whole model calls the parts they stand for."""

    def __init__(self, model: Any) -> None:
        self.backbone, self.rpn_head, self.box_head = (
            SYSTEM.build("mobilenet", task).module for task in ("backbone", "rpn-head", "box-head")
        )
        model.backbone.forward = lambda images: OrderedDict(
            zip(levels("mobilenet"), self.backbone(images), strict=True)
        )
        model.rpn.head.forward = self.propose
        model.roi_heads.box_head.forward = lambda regions: regions
        model.roi_heads.box_predictor.forward = self.classify

    def propose(self, features: list[Tensor]) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        flat = self.rpn_head(*features)
        return flat[: len(features)], flat[len(features) :]

    def classify(self, regions: Tensor) -> tuple[Tensor, Tensor]:
        """One image's regions, padded to 1000 as a compiled program needs them."""
        padded = torch.cat([regions, regions.new_zeros(1000 - len(regions), *regions.shape[1:])])
        logits, boxes = self.box_head(padded[None])
        return logits[0, : len(regions)], boxes[0, : len(regions)]


def test_stages_chained_on_the_cpu_are_the_whole_model(whole: Any) -> None:
    wanted = whole(photographs(1))[0]
    Stages(whole)
    given = whole(photographs(1))[0]
    assert len(wanted["boxes"]) > 10, "or there is nothing to compare"
    assert torch.equal(given["labels"], wanted["labels"])
    torch.testing.assert_close(given["boxes"], wanted["boxes"], rtol=1e-4, atol=1e-2)
    torch.testing.assert_close(given["scores"], wanted["scores"], rtol=1e-4, atol=1e-5)


def test_levels_in_another_order_are_not_the_whole_model(whole: Any) -> None:
    wanted = whole(photographs(1))[0]
    stages = Stages(whole)
    stages.rpn_head.forward = lambda *maps: tuple(reversed(type(stages.rpn_head).forward(stages.rpn_head, *maps)))
    with pytest.raises((AssertionError, RuntimeError)):
        torch.testing.assert_close(whole(photographs(1))[0]["boxes"], wanted["boxes"], rtol=1e-4, atol=1e-2)


def test_fused_stage_is_both_stages() -> None:
    images = SYSTEM.inputs(case("backbone").subject, 0)[0]
    backbone, rpn_head, fused = (
        SYSTEM.build("mobilenet", t).module for t in ("backbone", "rpn-head", "backbone-rpn")
    )
    features = backbone(images)
    for apart, together in zip((*features, *rpn_head(*features)), fused(images), strict=True):
        assert torch.equal(apart, together)


def test_box_head_is_fed_with_what_the_whole_model_pools(whole: Any) -> None:
    """Image by image; and where there are fewer than 1000 proposals, with the same from the first on."""
    pooled: list[Tensor] = []
    whole.roi_heads.box_head.register_forward_pre_hook(lambda _, given: pooled.append(given[0]))
    for image in photographs(2):
        whole([image])
    regions = SYSTEM.inputs(case("box-head", batch=2).subject, 0)[0]
    assert regions.shape == (2, 1000, 256, 7, 7)
    assert regions.dtype == torch.float32
    for given, wanted in zip(regions, pooled, strict=True):
        assert 50 < len(wanted) < 500
        torch.testing.assert_close(given[: len(wanted)], wanted, rtol=1e-3, atol=1e-3)
        assert torch.equal(given[len(wanted) : 2 * len(wanted)], given[: len(wanted)])
    assert rel_l2(by_image([regions[:1]]), by_image([regions[1:]])) > 0.1


@torch.no_grad()
def dead_layers(model: Model, images: tuple[Tensor, ...], others: tuple[Tensor, ...]) -> list[str]:
    """Those in which another image is no further away than bfloat16 rounding, or 1000 times float32 rounding."""
    runs = [(images, torch.float64), (others, torch.float64), (images, torch.bfloat16), (images, torch.float32)]
    exact, *rest = (
        record(copy.deepcopy(model.module).to(dtype), model.layers, tuple(x.to(dtype) for x in given))
        for given, dtype in runs
    )
    dead = []
    for path in model.layers:
        reference = by_image(exact.of_layer(path))
        other, bf16, fp32 = (float(rel_l2(by_image(run.of_layer(path)), reference)) for run in rest)
        if other <= max(bf16, 1000 * fp32):
            dead.append(f"{path}: other image {other}, bf16 {bf16}, fp32 {fp32}")
    return dead


@pytest.mark.usefixtures("few_regions")
@pytest.mark.parametrize("task", ["backbone-rpn", "rpn-head", "box-head"])
def test_every_layer_is_alive(task: str) -> None:
    images, others = (SYSTEM.inputs(case(task, 1, 64, 64).subject, index) for index in (0, 1))
    assert not dead_layers(SYSTEM.build("mobilenet", task), images, others)


def test_layer_whose_bias_drowns_its_signal_is_dead() -> None:
    model = SYSTEM.build("mobilenet", "rpn-head")
    model.module.get_parameter("levels.0.cls_logits.bias").fill_(1000)
    images, others = (SYSTEM.inputs(case("rpn-head", 1, 64, 64).subject, index) for index in (0, 1))
    dead = dead_layers(model, images, others)
    assert [layer.partition(":")[0] for layer in dead] == [f"levels.{level}.cls_logits" for level in range(3)]


@pytest.mark.parametrize("variant", SYSTEM.variants)
@torch.no_grad()
def test_layers_and_groups_are_those_of_the_module(variant: str) -> None:
    """Every layer runs, and once only, in the order that is given; every output has a name."""
    with torch.device("meta"):
        model = construct(variant, seed=0)
        features = tuple(torch.rand(1, 256, 2, 3) for _ in levels(variant))
        given = {"rpn-head": features, "box-head": (torch.rand(1, 2, 256, 7, 7),)}
        images = (torch.rand(1, 3, 32, 64),)
    for task in SYSTEM.tasks:
        module, layers = copy.deepcopy(stage(model, task, len(levels(variant)))), SYSTEM.layers(variant, task)
        ran: list[str] = []
        for path in layers:
            module.get_submodule(path).register_forward_hook(lambda *_, path=path, ran=ran: ran.append(path))
        outputs = module(*given.get(task, images))
        assert tuple(ran) == layers
        groups = SYSTEM.groups(variant, task)
        assert [group.output for group in groups] == list(range(len(outputs)))
        assert len({group.name for group in groups}) == len(groups)
        assert all(group.of(outputs).shape[0] == 1 for group in groups)


def test_shapes_are_those_of_the_application_note() -> None:
    """The pyramid of a ResNet at 800 x 800, and the box head's outputs for one image."""
    with torch.device("meta"):
        module = stage(construct("r101", seed=0), "backbone", 5)
        features = module(torch.empty(1, 3, 800, 800))
    assert [tuple(x.shape) for x in features] == [(1, 256, size, size) for size in (200, 100, 50, 25, 13)]
    outputs = SYSTEM.build("mobilenet", "box-head").module(torch.rand(1, 1000, 256, 7, 7))
    assert [tuple(x.shape) for x in outputs] == [(1, 1000, 91), (1, 1000, 364)]


def test_levels_share_their_parameters() -> None:
    head = SYSTEM.build("mobilenet", "rpn-head").module
    assert len(list(head.parameters())) == 6
    assert head.get_submodule("levels.0.conv") is not head.get_submodule("levels.2.conv")


@pytest.mark.parametrize(("swap", "bad"), [((), set()), ((0, 1), {"objectness.0", "objectness.1"})])
def test_exactly_the_swapped_levels_are_wrong(swap: tuple[int, ...], bad: set[str]) -> None:
    def change(outputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        changed = list(outputs)
        for index in swap:
            changed[index] = outputs[1 - index]
        return tuple(changed)

    target = toys.Planted(change)
    outcome = run_case(changed(case("rpn-head", 2), target="planted"), SPEC, target, lambda _: None)
    assert {name for name, group in outcome.groups.items() if group.bad} == bad
    assert outcome.status == (Status.WRONG if bad else Status.PASS)


@pytest.mark.usefixtures("few_regions")
def test_weights_are_the_same_built_anew_or_from_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setenv("CONFORMANCE_CACHE", str(tmp_path))
    builds = []
    for _ in range(2):
        _whole.cache_clear()
        builds.append(SYSTEM.build("mobilenet", "backbone-rpn"))
    anew, from_disk = builds
    assert anew.key == from_disk.key != SYSTEM.build("mobilenet", "backbone").key
    for name, value in anew.module.state_dict().items():
        assert torch.equal(value, from_disk.module.state_dict()[name]), name


def test_building_leaves_the_random_state_and_the_kept_weights_alone() -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    module = SYSTEM.build("mobilenet", "box-head").module
    construct("mobilenet", seed=0)
    assert torch.equal(torch.rand(3), expected)
    module.fc6.weight.zero_()  # type: ignore[operator, union-attr]
    assert SYSTEM.build("mobilenet", "box-head").module.fc6.weight.any()  # type: ignore[operator, union-attr]
