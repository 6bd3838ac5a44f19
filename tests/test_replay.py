"""`conformance replay`: HLO of the stand-in on compilers that know nothing of Neuron."""

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
from safetensors.torch import load_file, save_file
from torch import Tensor
from typer.testing import CliRunner

from conformance.commands.cli import app

pytestmark = pytest.mark.xla
if find_spec("torch_xla") is None:
    pytest.skip("needs the torch-xla environment", allow_module_level=True)


HLO = "work/graph.hlo"
# A convolution, a cut through its channels, a softmax; and what the CPU gives for the parameters that the HLO has.
TRACE = """
import sys

import torch
import torch_neuronx
from safetensors.torch import save_file
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)

    def forward(self, x):
        y = nn.functional.silu(self.conv(x))
        return y[:, 3:].flatten(2).softmax(-1), y[:, :3].amax((2, 3))


torch.manual_seed(0)
torch.set_grad_enabled(False)
net, x = Net().eval(), torch.randn(2, 3, 8, 8)
given = {"parameter.0": net.conv.bias, "parameter.1": net.conv.weight, "parameter.2": x}
outputs = {f"output.{number}": output for number, output in enumerate(net(x))}
save_file({name: x.contiguous() for name, x in (given | outputs).items()}, "values.safetensors")
torch_neuronx.trace(net, x, compiler_workdir="work", compiler_args="--target inf2", cpu_backend=True)
"""


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with what the stand-in's trace of a net leaves, and the values of its parameters and outputs."""
    folder = tmp_path_factory.mktemp("trace")
    environment = {**os.environ, **neuron_host(folder, "inf2")}
    subprocess.run([sys.executable, "-c", TRACE], cwd=folder, env=environment, check=True)
    return folder


def replay(*words: object) -> tuple[int, str]:
    """The exit code of `conformance replay`, and what it says."""
    result = CliRunner().invoke(app, ["replay", *map(str, words)])
    return result.exit_code, result.output


def changed(traced: Path, folder: Path, **change: Tensor) -> Path:
    """A file of values in which some are others."""
    found = load_file(traced / "values.safetensors")
    save_file({**found, **{name.replace("_", "."): tensor for name, tensor in change.items()}}, folder / "changed.st")
    return folder / "changed.st"


def test_compilers_that_know_nothing_of_neuron_run_it(traced: Path) -> None:
    code, said = replay(traced / HLO, "--json")
    found = json.loads(said)
    assert code == 0
    assert [run["failed"] for run in found["runs"]] == [None, None]
    assert found["outputs"] == ["f32[2,5,64]", "f32[2,3]"]
    assert "at fault" in found["conclusion"]


def test_what_a_device_gave_is_right(traced: Path, tmp_path: Path) -> None:
    code, said = replay(traced / HLO, "--values", traced / "values.safetensors")
    assert code == 0
    assert "3 of them given" in said
    assert "the device computes what this HLO says" in said


def test_what_is_wrong_on_the_device_alone_is_its_compilers_fault(traced: Path, tmp_path: Path) -> None:
    wrong = load_file(traced / "values.safetensors")["output.0"].flip(0)  # each image has the other's values
    code, said = replay(traced / HLO, "--values", changed(traced, tmp_path, output_0=wrong))
    assert code == 1
    assert "right here and wrong on the device: its compiler or its runtime is at fault" in said


def test_a_module_is_read_as_proto_within_a_proto_and_as_text(traced: Path, tmp_path: Path) -> None:
    module = (traced / HLO).read_bytes()
    size = len(module)
    length = bytes(
        [size & 127 | 128, size >> 7 & 127 | (128 if size >> 14 else 0), *([size >> 14] if size >> 14 else [])]
    )
    (tmp_path / "dump.pb").write_bytes(b"\x0a" + length + module)
    from jaxlib import xla_client

    (tmp_path / "module.txt").write_text(xla_client.XlaComputation(module).as_hlo_text())
    for name in ("dump.pb", "module.txt"):
        code, said = replay(tmp_path / name, "--json")
        assert (code, json.loads(said)["outputs"]) == (0, ["f32[2,5,64]", "f32[2,3]"])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"not HLO", "is refused: it is no HLO: an HloModuleProto"),
        (b"", "it is no HLO"),
        (b"HloModule m\n\nENTRY e {\n  p = f32[2]{0} parameter(0)\n  ROOT c = f32[2]{0} custom-call(p), "
         b'custom_call_target="AwsNeuronSilu"\n}\n', "no other compiler knows what AwsNeuronSilu computes"),
        (b"HloModule m\n\nENTRY e {\n  p = f32[2]{0} parameter(0)\n  ROOT c = f32[2]{0} custom-call(p), "
         b'custom_call_target="Nobody"\n}\n', "XLA for the CPU does not run it"),
    ],
)  # fmt: skip
def test_what_cannot_be_run_is_said_in_one_line(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "some.hlo").write_bytes(content)
    code, text = replay(tmp_path / "some.hlo")
    assert code == 2
    assert said in text
    assert len(text.splitlines()) == 1


def test_values_that_are_none_are_refused(traced: Path, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no tensors")
    code, text = replay(traced / HLO, "--values", tmp_path / "text")
    assert (code, len(text.splitlines())) == (2, 1)
    assert "is no file of safetensors" in text


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"parameter_9": torch.zeros(1)}, "there is no parameter.9: the module has 3"),
        ({"parameter_2": torch.zeros(1)}, "parameter.2 is (1,), and the module takes (2, 3, 8, 8)"),
        ({"output_0": torch.zeros(1)}, "an output is (1,), and the module gives (2, 5, 64)"),
        ({"weights": torch.zeros(1)}, "weights is no parameter.N and no output.N"),
    ],
)
def test_values_of_another_module_are_refused(
    traced: Path, tmp_path: Path, change: dict[str, Tensor], said: str
) -> None:
    code, text = replay(traced / HLO, "--values", changed(traced, tmp_path, **change))
    assert code == 2
    assert said in text
