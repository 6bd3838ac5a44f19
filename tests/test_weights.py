"""Weights from files: read without running what is in them, and refused where they do not fit."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from conformance.cases.errors import UserError
from conformance.systems.weights import read_weights

pytest.importorskip("ultralytics")
from conformance.systems.yolo26 import Yolo26


@pytest.fixture(scope="module")
def module() -> torch.nn.Module:
    from ultralytics.nn.tasks import DetectionModel

    return DetectionModel("yolo26n.yaml", ch=3, nc=3, verbose=False)


@pytest.mark.parametrize("holder", ["model", "ema"])
def test_checkpoint_of_ultralytics(module: torch.nn.Module, tmp_path: Path, holder: str) -> None:
    path = tmp_path / "mine.pt"
    content = {"epoch": -1, "ema": None, "model": None, "train_args": {"imgsz": 640}} | {holder: module.half()}
    torch.save(content, path)
    state, _ = read_weights(path)
    assert all(value.dtype != torch.float16 for value in state.values())
    assert set(state) == set(module.state_dict())
    built = Yolo26().build("n", "detect", str(path))
    assert built.detector == "cells"
    assert built.module(torch.rand(1, 3, 64, 64)).shape == (1, 4 + 3, 84), "as many classes as the file has"


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {os.environ['EVIL']}",)


def test_nothing_in_a_file_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVIL", str(tmp_path / "was-run"))
    torch.save({"model": Evil()}, path := tmp_path / "evil.pt")
    with pytest.raises(UserError, match=r"system to be called, which is refused"):
        read_weights(path)
    assert not (tmp_path / "was-run").exists()


def test_weights_of_another_model(module: torch.nn.Module, tmp_path: Path) -> None:
    save_file(
        {name: value.clone() for name, value in module.state_dict().items()}, path := tmp_path / "n.safetensors"
    )
    with pytest.raises(UserError, match=r"not those of a yolo26s.yaml"):
        Yolo26().build("s", "detect", str(path))
    with pytest.raises(UserError, match=r"not those of a yolo26n-p6.yaml"):
        Yolo26().build("n", "detect-p6", str(path))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.bin", b"", "not a .pt, .pth or .safetensors file"),
        ("a.pt", b"nonsense", "cannot be read"),
        ("a.safetensors", b"nonsense", "cannot be read"),
    ],
)
def test_files_that_are_none(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (path := tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_weights(path)


def test_a_checkpoint_without_a_model(tmp_path: Path) -> None:
    torch.save({"epoch": 3}, path := tmp_path / "a.pt")
    with pytest.raises(UserError, match="neither a state dict nor a checkpoint"):
        read_weights(path)


def test_shapes_are_for_one_model() -> None:
    assert Yolo26().build("n", "detect", "shapes").module(torch.rand(1, 3, 64, 64)).shape == (1, 8, 84)
    with pytest.raises(UserError, match="only for yolo26n"):
        Yolo26().build("s", "detect", "shapes")
