"""What `neuron` makes of its settings and of its host, without a compiler."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from conformance.host.cores import Cores
from conformance.program import Program
from conformance.targets.neuron import Neuron, _for_one_core, _how
from conformance.targets.neuron_host import families, require_device
from conformance.targets.protocol import Options, Unsupported


@pytest.fixture(autouse=True)
def trn2(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("neuron", "neuron_host"):
        monkeypatch.setattr(f"conformance.targets.{module}.cores_here", lambda: Cores("trn2", (0, 1), 2))


def options(*settings: str, hardware: str = "trn2") -> Options:
    return Options(hardware, None, "float32", (), lambda stage: None, settings=settings)


def test_settings_say_how() -> None:
    assert (_how(options()).optlevel, _how(options()).lnc) == (2, 2)
    assert (_how(options("O3", "lnc1")).optlevel, _how(options("O3", "lnc1")).lnc) == (3, 1)
    assert _how(options(hardware="inf2")).lnc == 1
    assert (
        Neuron().cores(()) == 1 and Neuron().cores(("data-parallel",)) == 2 and Neuron().cores(("compile-only",)) == 0
    )
    assert Neuron().process(("O1", "lnc1")) == {"NEURON_LOGICAL_NC_CONFIG": "1"} and Neuron().process(()) == {}


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
        _how(options(*settings, hardware=hardware))


def test_batch_is_parted_evenly_or_not_at_all() -> None:
    def images(count: int, *settings: str) -> int:
        inputs = (torch.zeros(count, 3, 8, 8), torch.zeros(count, 2))
        return len(_for_one_core(Program(nn.Identity(), inputs), _how(options(*settings))).inputs[1])

    assert (images(4), images(4, "data-parallel"), images(3, "dynamic-batch")) == (4, 2, 1)
    with pytest.raises(Unsupported, match="a batch of 3 cannot be parted evenly among 2"):
        images(3, "data-parallel")
    mixed = Program(nn.Identity(), (torch.zeros(4, 3), torch.zeros(2, 3)))
    with pytest.raises(Unsupported, match="cannot be parted"):
        _for_one_core(mixed, _how(options("data-parallel")))


def test_host_runs_what_is_for_its_family_alone() -> None:
    assert families(("inf2", "trn2")) == ("trn2",) and families(("inf2", "trn1")) == ("inf2", "trn1")
    require_device("trn2", "")
    with pytest.raises(Unsupported, match="this host is trn2, not inf2; or else"):
        require_device("inf2", "; or else")
