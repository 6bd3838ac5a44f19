"""The runtime: which cores there are, and how many physical ones make a logical one."""

from __future__ import annotations

import os


def _family() -> str | None:
    """The family of the instance that the double stands for; no device without."""
    return os.environ.get("NEURON_DOUBLE_DEVICE")


def require_device() -> None:
    """Raises RuntimeError where no NeuronCore can be had."""
    if _family() is None or not visible_cores():
        raise RuntimeError(
            "The PyTorch Neuron Runtime could not be initialized. "
            "Neuron Driver issues are logged to your system logs."
        )


def visible_cores() -> int:
    """How many this process may use: all of the one device, or those that the environment names."""
    text = os.environ.get("NEURON_RT_VISIBLE_CORES") or ("0-3" if _family() == "trn2" else "0-1")
    first, _, last = text.partition("-")
    return int(last or first) - int(first) + 1


def require_lnc(compiled: int) -> None:
    """Raises RuntimeError where a program was compiled for other logical cores than the runtime has."""
    default = "2" if _family() == "trn2" else "1"
    if (here := int(os.environ.get("NEURON_LOGICAL_NC_CONFIG", default))) != compiled:
        raise RuntimeError(f"NEFF was compiled for --lnc {compiled}, and the runtime has LNC={here}")
