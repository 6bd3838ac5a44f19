"""The tasks of YOLO26 beside detection: groups that mean something, and the rule about float32 as a defect."""

from __future__ import annotations

import pytest
import torch
from cells import cell

from conformance.defects.catalogue import find
from conformance.programs.program import Program, tensors
from conformance.systems.yolo26 import TASKS, Yolo26

pytest.importorskip("ultralytics")
SYSTEM = Yolo26()
SHAPES = {
    "detect-p2": {"boxes": (2, 4, 340), "scores": (2, 80, 340)},
    "detect-p6": {"boxes": (2, 4, 85), "scores": (2, 80, 85)},
    "detect-end2end": {"boxes": (2, 84, 4), "scores": (2, 84, 1), "classes": (2, 84, 1)},
    "pose": {"boxes": (2, 4, 84), "scores": (2, 1, 84), "keypoints": (2, 51, 84)},
    "obb": {"boxes": (2, 4, 84), "scores": (2, 80, 84), "angle": (2, 1, 84)},
    "segment": {"boxes": (2, 4, 84), "scores": (2, 80, 84), "mask coefficients": (2, 32, 84),
                "protos": (2, 32, 16, 16)},
    "classify": {"probabilities": (2, 1000), "logits": (2, 1000)},
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("task", SHAPES)
def test_groups_cover_the_outputs_and_differ_between_images(task: str) -> None:
    model = SYSTEM.build("n", task)
    images = SYSTEM.inputs(cell("yolo26", "n", task, 2, 64, 64, "float32", target="").subject, 0)
    outputs = tensors(model.module(*images))
    groups = {group.name: group.of(outputs) for group in SYSTEM.groups("n", task)}
    assert {name: tuple(group.shape) for name, group in groups.items()} == SHAPES[task]
    assert sum(group.numel() for group in groups.values()) == sum(output.numel() for output in outputs)
    for name, (first, second) in groups.items():
        assert not torch.allclose(first, second, rtol=1e-2), f"{name} is the same for two images"
    for path in model.layers:
        model.module.get_submodule(path)
    assert len(model.layers) == len(model.module.model) == TASKS[task].blocks  # type: ignore[arg-type]


@pytest.mark.parametrize(("channels", "dtype", "triggered"), [(64, torch.float32, True), (32, torch.float32, False),
                                                            (64, torch.bfloat16, False)])  # fmt: skip
def test_float32_that_outgrows_sbuf(channels: int, dtype: torch.dtype, triggered: bool) -> None:
    """The first convolution at 640 px: that of m has 64 channels, that of s 32; one image counts, not the batch."""
    conv = torch.nn.Conv2d(3, channels, 3, stride=2, padding=1).to(dtype)
    graph = Program(conv, (torch.zeros(4, 3, 640, 640, dtype=dtype),)).exported.graph
    found = {defect.id for defect, _ in find(graph, {"neuronx-cc": "2.24.8799.0"}, ())}
    assert found == ({"sbuf-overflow"} if triggered else set())
    assert not find(graph, {"neuronx-cc": "2.22.12471.0"}, ()), "no report of that release"
