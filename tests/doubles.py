"""A host with the stand-in of torch-neuronx (tests/neuron_double), for processes that are started with it."""

from __future__ import annotations

import os
from pathlib import Path

DOUBLE = Path(__file__).parent / "neuron_double"
INSTANCES = {"inf2": "inf2.xlarge", "trn1": "trn1.2xlarge", "trn2": "trn2.3xlarge"}


def neuron_host(folder: Path, family: str | None) -> dict[str, str]:
    """The environment variables of a host of this family, whose /dev and /sys are made in a folder; None has no
    device."""
    root = folder / (family or "none")
    firmware = root / "sys/devices/virtual/dmi/id/product_name"
    firmware.parent.mkdir(parents=True, exist_ok=True)
    firmware.write_text(INSTANCES[family] if family else "Standard PC")
    found = {
        "PYTHONPATH": os.pathsep.join([str(DOUBLE), str(DOUBLE.parent)]),
        "PATH": os.pathsep.join([str(DOUBLE / "bin"), os.environ["PATH"]]),
        "CONFORMANCE_HOST": str(root),
    }
    if family is None:
        return found
    (root / "dev").mkdir(exist_ok=True)
    (root / "dev/neuron0").touch()
    return found | {"NEURON_DOUBLE_DEVICE": family}
