"""A host with a stand-in of torch-neuronx, for processes that are started with it: `neuron_double` of the one that
traces, `native_double` of the one that compiles."""

from __future__ import annotations

import os
from pathlib import Path

HERE = Path(__file__).parent
INSTANCES = {"inf2": "inf2.xlarge", "trn1": "trn1.2xlarge", "trn2": "trn2.3xlarge"}


def neuron_host(folder: Path, family: str | None, double: str = "neuron_double") -> dict[str, str]:
    """The environment variables of a host of this family, whose /dev and /sys are made in a folder; None has no
    device."""
    root = folder / (family or "none")
    firmware = root / "sys/devices/virtual/dmi/id/product_name"
    firmware.parent.mkdir(parents=True, exist_ok=True)
    firmware.write_text(INSTANCES[family] if family else "Standard PC")
    found = {
        "PYTHONPATH": os.pathsep.join([str(HERE / double), str(HERE)]),
        "PATH": os.pathsep.join([str(HERE / "neuron_double" / "bin"), os.environ["PATH"]]),
        "CONFORMANCE_HOST": str(root),
    }
    if family is None:
        return found
    (root / "dev").mkdir(exist_ok=True)
    (root / "dev/neuron0").touch()
    return found | {"NEURON_DOUBLE_DEVICE": family}
