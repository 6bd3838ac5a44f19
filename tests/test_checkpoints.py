"""Ultralytics' checkpoints of any family: the network that was saved, and nothing in the file is run."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch

from conformance.core.errors import UserError
from conformance.core.groups import Group
from conformance.programs.program import tensors

pytest.importorskip("ultralytics", reason="ultralytics is an optional extra")
from ultralytics.nn import tasks
from ultralytics.utils import LOGGER

from conformance.systems.building.user_model.checkpoint import of_checkpoint, of_yaml

BOXES = Group("boxes", stop=4)
FAMILIES: dict[str, tuple[str, str, tuple[str, ...] | None]] = {
    "yolo11n": ("yolo11n.yaml", "DetectionModel", ("boxes", "scores")),
    "yolov8n-seg": ("yolov8n-seg.yaml", "SegmentationModel", ("boxes", "scores", "mask coefficients", "protos")),
    "yolo11n-pose": ("yolo11n-pose.yaml", "PoseModel", ("boxes", "scores", "keypoints")),
    "yolo11n-obb": ("yolo11n-obb.yaml", "OBBModel", ("boxes", "scores", "angle")),
    "yolo11n-cls": ("yolo11n-cls.yaml", "ClassificationModel", ()),
    "yolov8s-world": ("yolov8s-world.yaml", "WorldModel", ("boxes", "scores")),
    "yolo26n": ("yolo26n.yaml", "DetectionModel", ("boxes", "scores", "classes")),
}


def saved(path: Path, yaml: str, kind: str) -> Any:
    """A network whose weights are no constructor's, in a file as ultralytics writes it."""
    LOGGER.setLevel("ERROR")
    torch.manual_seed(3)
    module = getattr(tasks, kind)(yaml, ch=3, verbose=False)
    for part in module.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.running_mean.normal_(0, 0.1)  # type: ignore[union-attr]
    torch.save({"model": copy.deepcopy(module).half(), "ema": None, "train_args": {"imgsz": 96}}, path)
    return module


@torch.no_grad()
@pytest.mark.parametrize("name", FAMILIES)
def test_network_of_a_checkpoint_is_the_one_that_was_saved(name: str, tmp_path: Path) -> None:
    yaml, kind, meanings = FAMILIES[name]
    original = saved(tmp_path / "net.pt", yaml, kind).half().float().eval()
    found = of_checkpoint(tmp_path / "net.pt")
    assert found.resolution == (96, 96)
    assert found.notes == ()  # nothing was done to its weights
    head = original.model[-1]
    head.export = True
    if name == "yolo26n":
        original.end2end = True
    x = torch.rand(2, 3, 96, 96)
    given, wanted = (tensors(module(x)) for module in (found.module, original))
    assert [y.shape for y in given] == [y.shape for y in wanted]
    if name == "yolo26n":  # rows that are ranked: by their scores
        given, wanted = ((y[0][..., 4],) for y in (given, wanted))
    for one, other in zip(given, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=2e-3, atol=2e-3 * float(other.abs().max()))
    assert tuple(group.name for group in found.groups or ()) == meanings
    for group in found.groups or ():
        assert group.of(tensors(found.module(x))).numel()
    assert (found.rows, found.detector) == {"yolo26n": ((0,), "rows")}.get(
        name, ((), "cells" if meanings == ("boxes", "scores") else None)
    )


def test_file_of_ultralytics_and_one_of_the_users(tmp_path: Path) -> None:
    own = tmp_path / "net.yaml"
    own.write_text(
        "nc: 3\nbackbone:\n- [-1, 1, Conv, [8, 3, 2]]\n- [-1, 1, Conv, [16, 3, 2]]\n- [-1, 1, Conv, [32, 3, 2]]\n"
        "head:\n- [[0, 1, 2], 1, Detect, [nc]]\n"
    )
    found = of_yaml(str(own))
    assert found.groups == (BOXES, Group("scores", start=4, stop=7))
    assert found.seeded is False  # it has calibrated weights already
    assert found.module(torch.rand(1, 3, 64, 64)).shape == (1, 7, 32 * 32 + 16 * 16 + 8 * 8)


HOSTILE: dict[str, tuple[dict[str, Any], str]] = {
    "activation": ({"activation": "__import__('os').system('touch owned')"}, "its activation .* is none of torch.nn"),
    "activation that is none": ({"activation": "nn.Nothing()"}, "its activation .* is none of torch.nn"),
    "function": ({"head": [[-1, 1, "torch_safe_load", ["x"]]]}, "unknown layer in .*torch_safe_load"),
    "module": ({"head": [[-1, 1, "os.system", ["x"]]]}, "is no layer that is built from a file here"),
    "of torch.nn": ({"head": [[-1, 1, "nn.Module.__class__", ["x"]]]}, "is no layer that is built from a file here"),
    "download": ({"head": [[-1, 1, "TorchVision", [8, "resnet18", "DEFAULT"]]]}, "is no layer that is built"),
    "arguments": ({"head": [[-1, 1, "Conv", [{"a": 1}]]]}, "arguments of Conv are no plain values"),
    "row": ({"head": [[-1, 1]]}, r"a layer is \[from, number, module, arguments\]"),
    "nothing": ({"head": []}, "describes no network: it has no backbone and head"),
    "too many": ({"head": [[-1, 1, "Conv", [8]]] * 2000}, "describes 2001 layers; 1000 are the most"),
    "that cannot be": ({"head": [[-1, 1, "Conv", ["many"]]]}, "ultralytics .* cannot build it: "),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_description_that_is_no_network_is_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    module = saved(tmp_path / "net.pt", "yolo11n-cls.yaml", "ClassificationModel")
    change, said = HOSTILE[name]
    sound = {"nc": 3, "backbone": [[-1, 1, "Conv", [8, 3, 2]]], "head": [[-1, 1, "Classify", ["nc"]]]}
    module.yaml = {**sound, **change}
    torch.save({"model": module}, tmp_path / "hostile.pt")
    with pytest.raises(UserError, match=said) as error:
        of_checkpoint(tmp_path / "hostile.pt")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "owned").exists()


def test_file_that_is_no_checkpoint_of_a_network(tmp_path: Path) -> None:
    torch.save({"model": torch.nn.Conv2d(3, 3, 3)}, tmp_path / "plain.pt")
    with pytest.raises(
        UserError, match="does not say how its network is built: it is no checkpoint of ultralytics 8"
    ):
        of_checkpoint(tmp_path / "plain.pt")
    module = saved(tmp_path / "net.pt", "yolo11n-cls.yaml", "ClassificationModel")
    del module.model[3]
    torch.save({"model": module}, tmp_path / "other.pt")
    with pytest.raises(UserError, match=r"its weights (are not those of|do not fit) the network that it describes"):
        of_checkpoint(tmp_path / "other.pt")
