"""What `neuron` makes of its settings and of its host, without a compiler."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from conformance.cases.case import Column
from conformance.host.cores import Cores
from conformance.programs.program import Program
from conformance.targets.neuron import CompileSettings, Neuron, _for_one_core, _settings
from conformance.targets.neuron_host import families, require_device
from conformance.targets.protocol import Unsupported


@pytest.fixture(autouse=True)
def trn2(monkeypatch: pytest.MonkeyPatch) -> None:
    here = Cores("trn2", (0, 1), 2, instance="trn2.3xlarge", runtime="2.31.24.0")
    for module in ("neuron", "neuron_host"):
        monkeypatch.setattr(f"conformance.targets.{module}.host_cores", lambda: here)


def how(*settings: str, hardware: str = "trn2") -> CompileSettings:
    return _settings(hardware, settings)


def test_settings_say_how() -> None:
    assert (how().optlevel, how().lnc) == (2, 2)
    assert (how("O3", "lnc1").optlevel, how("O3", "lnc1").lnc) == (3, 1)
    assert how(hardware="inf2").lnc == 1
    assert Neuron().cores(()) == 1
    assert Neuron().cores(("data-parallel",)) == 2
    assert Neuron().cores(("compile-only",)) == 0
    assert Neuron().process(("O1", "lnc1")) == {"NEURON_LOGICAL_NC_CONFIG": "1"}
    assert Neuron().process(()) == {}


@pytest.mark.parametrize(
    ("settings", "hardware", "message"),
    [
        (("O1", "O3"), "trn2", "O1 and O3 exclude each other"),
        (("lnc1", "lnc2"), "trn2", "lnc1 and lnc2 exclude each other"),
        (("data-parallel", "dynamic-batch"), "trn2", "data-parallel and dynamic-batch exclude each other"),
        (("lnc2",), "inf2", "inf2 has no logical NeuronCores"),
    ],
)
def test_settings_that_cannot_be(settings: tuple[str, ...], hardware: str, message: str) -> None:
    with pytest.raises(Unsupported, match=message):
        how(*settings, hardware=hardware)


def test_record_says_how_it_was_compiled_and_on_what(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("conformance.targets.neuron.installed_version", lambda name: "2.24.8799.0+6f62ff7c")

    def conditions(**more: Any) -> dict[str, str]:
        return Neuron().conditions(Column("neuron", "trn2", **more), "matmult-bf16")

    found = conditions(settings=("O1", "lnc1"))
    assert found["instance"] == "trn2.3xlarge"
    assert found["aws-neuronx-runtime-lib"] == "2.31.24.0"
    assert found["compiler arguments"].startswith(
        "--target trn2 --model-type generic --optlevel 1 --auto-cast matmult --auto-cast-type bf16 "
        "--logical-nc-config 1"
    )
    assert "compiler arguments" not in conditions(settings=("O1", "O3")), "nothing was compiled"


def test_batch_is_parted_evenly_or_not_at_all() -> None:
    def images(count: int, *settings: str) -> int:
        inputs = (torch.zeros(count, 3, 8, 8), torch.zeros(count, 2))
        return len(_for_one_core(Program(nn.Identity(), inputs), how(*settings)).inputs[1])

    assert (images(4), images(4, "data-parallel"), images(3, "dynamic-batch")) == (4, 2, 1)
    with pytest.raises(Unsupported, match="a batch of 3 cannot be parted evenly among 2"):
        images(3, "data-parallel")
    mixed = Program(nn.Identity(), (torch.zeros(4, 3), torch.zeros(2, 3)))
    with pytest.raises(Unsupported, match="cannot be parted"):
        _for_one_core(mixed, how("data-parallel"))


def test_host_runs_what_is_for_its_family_alone() -> None:
    assert families(("inf2", "trn2")) == ("trn2",)
    assert families(("inf2", "trn1")) == ("inf2", "trn1")
    require_device("trn2", "")
    with pytest.raises(Unsupported, match="this host is trn2, not inf2; or else"):
        require_device("inf2", "; or else")
