"""Weights from files: read without running what is in them, and refused where they do not fit."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from conformance.core.errors import UserError
from conformance.systems.building.weights import read_weights

pytest.importorskip("ultralytics")
from conformance.systems.yolo26 import Yolo26


@pytest.fixture(scope="module")
def module() -> torch.nn.Module:
    from ultralytics.nn.tasks import DetectionModel

    return DetectionModel("yolo26n.yaml", ch=3, nc=3, verbose=False)  # type: ignore[no-untyped-call]


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


class Constructed:
    """Calls the constructor of a class that checkpoints hold; parse_model of ultralytics evaluates `activation`."""

    def __reduce__(self) -> tuple[object, tuple[object]]:
        from ultralytics.nn.tasks import DetectionModel

        file = f"__import__('pathlib').Path({os.environ['EVIL']!r}).touch()"
        return DetectionModel, ({"nc": 1, "activation": file, "backbone": [[-1, 1, "Conv", [8]]], "head": []},)


@pytest.mark.parametrize("holder", ["model", "ema"])
def test_no_constructor_of_a_class_that_is_known_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, holder: str
) -> None:
    monkeypatch.setenv("EVIL", str(tmp_path / "was-run"))
    torch.save({holder: Constructed()}, path := tmp_path / "evil.pt")
    with pytest.raises(UserError, match=r"neither a state dict nor a checkpoint"):
        read_weights(path)
    assert not (tmp_path / "was-run").exists()


def around(value: object, times: int) -> object:
    for _ in range(times):
        value = {"model": value}
    return value


def itself() -> dict[str, object]:
    content: dict[str, object] = {}
    content["ema"] = content
    return content


def module_in_itself() -> dict[str, object]:
    module = torch.nn.Sequential()
    module._modules["0"] = module
    return {"model": module}


def doubled() -> dict[str, object]:
    """Forty levels of modules, each of which is there twice: a million million of them to whoever walks."""
    module: torch.nn.Module = torch.nn.ReLU()
    for _ in range(40):
        module = torch.nn.Sequential(module, module)
    return {"model": module}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (itself(), "dictionaries in dictionaries"),
        (around({"a": torch.ones(1)}, 100), "dictionaries in dictionaries"),
        (module_in_itself(), "modules in modules"),
        (doubled(), "modules in modules"),
        ({"model": {"a": torch.ones(1), "b": "text"}}, "neither a state dict nor"),
        ({"ema": torch.ones(3)}, "neither a state dict nor"),
        ([1, 2], "neither a state dict nor"),
        ({"a": torch.ones(1, dtype=torch.float16).expand(1 << 24, 1 << 20)}, "cannot be held in float32"),
    ],
)
def test_what_has_no_end_or_is_no_model_is_refused_in_one_line(tmp_path: Path, content: object, message: str) -> None:
    torch.save(content, path := tmp_path / "a.pt")
    with pytest.raises(UserError, match=message) as error:
        read_weights(path)
    assert "\n" not in str(error.value)


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
