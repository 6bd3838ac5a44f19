"""YOLO12: what it is, that it is alive, and that our area attention is the one it replaces."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from cells import cell, changed
from torch import Tensor, nn

from conformance.compare.metrics import by_image, rel_l2
from conformance.golden.reference import record
from conformance.models import attention
from conformance.models.area_attention import AreaAttention
from conformance.models.attention import Attend
from conformance.systems.building.calibration import graph_only
from conformance.systems.building.yolo12 import replace_attention
from conformance.systems.protocol import Model
from conformance.systems.yolo12 import Yolo12

pytest.importorskip("ultralytics")
SYSTEM = Yolo12()
CASE = cell("yolo12", "n", "detect", 2, 192, 192, "float32", target="")
TASKS = ("detect", "detect-sdpa", "detect-flash")


@pytest.fixture(scope="module")
def model() -> Model:
    return SYSTEM.build("n", "detect")


@torch.no_grad()
@pytest.mark.slow
def test_every_layer_is_alive(model: Model) -> None:
    images, others = (SYSTEM.inputs(CASE.subject, index)[0] for index in (0, 1))
    runs = ((images, torch.float64), (others, torch.float64), (images, torch.bfloat16), (images, torch.float32))
    exact, *compared = (
        record(copy.deepcopy(model.module).to(dtype), model.layers, (pixels.to(dtype),)) for pixels, dtype in runs
    )
    for path in model.layers:
        reference = by_image(exact.of_layer(path))
        other_image, bf16, fp32 = (rel_l2(by_image(run.of_layer(path)), reference) for run in compared)
        assert (other_image > bf16).all(), f"{path}: other image {other_image}, bf16 {bf16}"
        assert (other_image > 1000 * fp32).all(), f"{path}: other image {other_image}, fp32 {fp32}"


def test_layers_are_the_blocks_of_every_variant(model: Model) -> None:
    from ultralytics.nn.tasks import yaml_model_load

    for variant in SYSTEM.variants:
        file = yaml_model_load(f"yolo12{variant}.yaml")  # type: ignore[no-untyped-call]
        blocks = [path for path in SYSTEM.layers(variant, "detect") if path.count(".") == 1]
        assert len(file["backbone"] + file["head"]) == len(blocks) == 22
    assert type(model.module.get_submodule("model.8")).__name__ == "A2C2f"
    assert type(model.module.get_submodule("model.21")).__name__ == "Detect"


@pytest.mark.parametrize("variant", ["n", "l"])
def test_every_attention_is_a_layer_before_its_block(variant: str) -> None:
    with graph_only():
        module = SYSTEM.build(variant, "detect").module
    layers = SYSTEM.layers(variant, "detect")
    found = [path for path, part in module.named_modules() if type(part).__name__ == "AAttn"]
    assert found == [path for path in layers if path.endswith("attn")]
    assert len(found) >= 8
    assert all(layers.index(path) < layers.index(path.partition(".m.")[0]) for path in found)


def test_weights_are_the_same_for_every_attention_and_keys_are_not(model: Model) -> None:
    others = [SYSTEM.build("n", task) for task in TASKS]
    assert others[0].key == model.key != others[1].key
    for other in others:
        values = zip(model.module.parameters(), other.module.parameters(), strict=True)
        assert sum(p.numel() for p in other.module.parameters()) == sum(p.numel() for p in model.module.parameters())
        assert sum(torch.equal(a, b) for a, b in values if a.shape == b.shape) > 100


def test_the_attention_is_in_the_notes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "find_spec", lambda name: None)
    assert [SYSTEM.build("n", task).notes for task in TASKS] == [
        ("attention: math",),
        ("attention: sdpa",),
        ("attention: flash asked for, sdpa used: flash_attn is not installed",),
    ]


def originals(model: Model) -> list[Any]:
    return [part for part in model.module.modules() if type(part).__name__ == "AAttn"]


def ours(original: nn.Module, attend: Attend) -> AreaAttention:
    """What replaces it, of a copy."""
    holder = nn.Sequential(copy.deepcopy(original))
    replace_attention(holder, attend)
    made = holder[0]
    assert isinstance(made, AreaAttention)
    return made


def distance(original: Any, module: nn.Module, dtype: torch.dtype, scale: float = 1.0) -> float:
    channels = original.pe.conv.in_channels
    x = torch.randn(2, channels, 4, 6, generator=torch.Generator().manual_seed(0)) * scale
    wanted = copy.deepcopy(original).double()(x.double())
    given: Tensor = module.to(dtype)(x.to(dtype))
    return float(rel_l2(by_image([given]), by_image([wanted])).max())


@pytest.mark.parametrize("name", ["math", "sdpa"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-13), (torch.float32, 2e-6)])
def test_our_area_attention_is_the_original(model: Model, name: str, dtype: torch.dtype, tolerance: float) -> None:
    assert sorted({part.area for part in originals(model)}) == [1, 4]
    for original in originals(model):
        assert distance(original, ours(original, attention.ATTENTIONS[name]), dtype) < tolerance


def test_another_attention_or_another_area_is_not_the_original(model: Model) -> None:
    original = originals(model)[0]
    unscaled = ours(original, lambda q, k, v: (q @ k.transpose(-2, -1)).softmax(-1) @ v)
    undivided = ours(original, attention.math)
    undivided.area = 1
    assert distance(original, unscaled, torch.float32) > 1e-3
    assert distance(original, undivided, torch.float32) > 1e-3


@pytest.mark.parametrize("task", TASKS[1:])
def test_the_whole_model_gives_the_same_with_every_attention(model: Model, task: str) -> None:
    images = SYSTEM.inputs(changed(CASE, height=64, width=96).subject, 0)[0].double()
    other = SYSTEM.build("n", task).module
    assert not any(type(part).__name__ == "AAttn" for part in other.modules())
    wanted, given = (by_image([copy.deepcopy(module).double()(images)]) for module in (model.module, other))
    assert rel_l2(given, wanted).max() < 1e-12
