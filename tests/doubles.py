"""A host with a stand-in of torch-neuronx, for processes that are started with it: `neuron_double` of the one that
traces, `native_double` of the one that compiles."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

HERE = Path(__file__).parent
INSTANCES = {"inf2": "inf2.xlarge", "trn1": "trn1.2xlarge", "trn2": "trn2.3xlarge"}


def neuron_host(folder: Path, family: str | None, double: str = "neuron_double") -> dict[str, str]:
    """The environment variables of a host of this family, whose /dev and /sys are made in a folder; None has no
    device."""
    root = folder / (family or "none")
    firmware = root / "sys/devices/virtual/dmi/id/product_name"
    firmware.parent.mkdir(parents=True, exist_ok=True)
    firmware.write_text(INSTANCES[family] if family else "Standard PC")
    (root / "tmp").mkdir(exist_ok=True)  # where its NeuronCores are leased
    found = {
        "PYTHONPATH": os.pathsep.join([str(HERE / double), str(HERE)]),
        "PATH": os.pathsep.join([str(HERE / "neuron_double" / "bin"), os.environ["PATH"]]),
        "CONFORMANCE_HOST": str(root),
    }
    if family is None:
        return found
    driver = root / "sys/module/neuron/version"
    driver.parent.mkdir(parents=True, exist_ok=True)
    driver.write_text("2.27.4.0\n")
    (root / "dev").mkdir(exist_ok=True)
    (root / "dev/neuron0").touch()
    return found | {"NEURON_DOUBLE_DEVICE": family}


def stand_on(
    monkeypatch: pytest.MonkeyPatch, folder: Path, family: str | None, double: str = "neuron_double"
) -> None:
    """Let this process, and those that it starts, be on such a host."""
    for name, value in neuron_host(folder, family, double).items():
        monkeypatch.setenv(name, value)
