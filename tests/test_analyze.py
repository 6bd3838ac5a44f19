"""In the torch-xla environment, whose torch is that of torch-neuronx: `conformance analyze`, with a stand-in for
torch-neuronx behind its call."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from doubles import neuron_host
from torch import Tensor, nn

pytestmark = pytest.mark.xla
if find_spec("torch_xla") is None:
    pytest.skip("needs the torch-xla environment", allow_module_level=True)

ANALYZE = [sys.executable, "-c", "from conformance.commands.cli import app; app()", "analyze"]


class Ranked(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.sigmoid().sort().values + x.relu()


def ranked() -> tuple[nn.Module, tuple[Tensor, ...]]:
    return Ranked(), (torch.rand(1, 9),)


def analyze(folder: Path, double: str, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **neuron_host(folder, None, double)}
    return subprocess.run([*ANALYZE, *words], env=environment, capture_output=True, text=True, cwd=folder)


def test_operators_that_do_not_compile_come_first(tmp_path: Path) -> None:
    done = analyze(tmp_path, "neuron_double", "test_analyze:ranked", "--json")
    assert done.returncode == 1, done.stderr
    assert json.loads(done.stdout) == [
        {"kind": "aten::sort", "count": 1, "fails_in": "neuronx-cc"},
        {"kind": "aten::add", "count": 1, "fails_in": None},
        {"kind": "aten::relu", "count": 1, "fails_in": None},
        {"kind": "aten::sigmoid", "count": 1, "fails_in": None},
    ]
    said = analyze(tmp_path, "neuron_double", "test_analyze:ranked").stdout
    assert "75.0 % of 4 operators compile" in said
    assert "no: fails in neuronx-cc" in said
    assert "compiled for trn1" in said
    assert not (tmp_path / "analyze_workdir").exists(), "nothing is left behind"


def test_model_of_a_system_and_what_all_compiles(tmp_path: Path) -> None:
    done = analyze(tmp_path, "neuron_double", "toydet-98k-detect", "--resolution", "64x64", "--json")
    assert done.returncode == 0, done.stderr
    assert {one["kind"] for one in json.loads(done.stdout)} >= {"aten::_convolution", "aten::silu"}


@pytest.mark.parametrize(
    ("double", "model", "message"),
    [
        ("native_double", "toydet-98k-detect", "error: neuron needs the torch-neuronx that traces, 2.9 or older"),
        ("neuron_double", "toydet-99k-detect", "error: unknown model 'toydet-99k-detect'; did you mean"),
    ],
)
def test_bad_input_is_one_line(tmp_path: Path, double: str, model: str, message: str) -> None:
    done = analyze(tmp_path, double, model)
    assert done.returncode == 2
    assert done.stderr.startswith(message)
    assert done.stderr.count("\n") == 1
