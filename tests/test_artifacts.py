"""Compiled programs on disk: another program, argument or environment is another one, and a damaged file is none."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from conformance.programs.program import Program, Whole
from conformance.targets.artifacts import artifact, artifact_key


class Net(nn.Module):
    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.register_buffer("mean", torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x) - self.mean
        return y


def program(module: nn.Module, size: int = 8) -> Program:
    return Program(Whole(module), (torch.zeros(1, 3, size, size),))


def test_key_is_of_all_that_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    net = Net()
    recipe: dict[str, object] = {"arguments": ["-O1"]}
    key = artifact_key(program(net), recipe)
    assert key == artifact_key(program(copy.deepcopy(net)), recipe) is not None
    others = [copy.deepcopy(net) for _ in range(3)]
    others[0].conv.weight.data[0, 0, 0, 0] += 1
    others[1].mean += 1
    others[2].bfloat16()
    keys = [artifact_key(program(other), recipe) for other in others]
    keys += [artifact_key(program(net, 9), recipe), artifact_key(program(net), {"arguments": ["-O2"]})]
    keys += [artifact_key(program(nn.Sequential(net, nn.ReLU())), recipe)]
    monkeypatch.setenv("XLA_DISABLE_FUNCTIONALIZATION", "0")
    keys += [artifact_key(program(net), recipe)]
    assert len({key, *keys}) == 8


def test_program_without_a_graph_has_no_key() -> None:
    class Undecided(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x if x.sum() > 0 else -x

    assert artifact_key(program(Undecided()), {}) is None


def test_made_once_and_again_where_it_is_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONFORMANCE_CACHE", str(tmp_path / "cache"))
    made = []

    def make(path: Path) -> None:
        made.append(path)
        path.write_text("compiled")

    path = artifact("key", tmp_path, make)
    assert artifact("key", tmp_path, make) == path
    assert path.read_text() == "compiled"
    assert len(made) == 1
    path.write_text("half of i")
    assert artifact("key", tmp_path, make).read_text() == "compiled"
    assert len(made) == 2
    assert artifact(None, tmp_path, make) == tmp_path / "program.pt"
    assert len(made) == 3


def test_what_failed_to_compile_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONFORMANCE_CACHE", str(tmp_path / "cache"))

    def fail(path: Path) -> None:
        path.write_text("half of it")
        raise RuntimeError("no lowering")

    with pytest.raises(RuntimeError, match="no lowering"):
        artifact("key", tmp_path, fail)

    def make(path: Path) -> None:
        path.write_text("compiled")

    done = artifact("key", tmp_path, make)
    assert done.read_text() == "compiled"
