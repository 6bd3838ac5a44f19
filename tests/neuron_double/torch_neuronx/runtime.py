"""The runtime: which cores there are, and how many physical ones make a logical one."""

from __future__ import annotations

import os

import single_tenant


def _family() -> str | None:
    """The family of the instance that the double stands for; no device without."""
    return os.environ.get("NEURON_DOUBLE_DEVICE")


def require_device() -> None:
    """Takes the visible NeuronCores. Raises RuntimeError where they cannot be had."""
    if _family() is None:
        raise RuntimeError(single_tenant.NO_RUNTIME)
    single_tenant.take(*_visible())


def visible_cores() -> int:
    """How many this process may use: all of the one device, or those that the environment names."""
    first, last = _visible()
    return last - first + 1


def _visible() -> tuple[int, int]:
    return single_tenant.visible("0-3" if _family() == "trn2" else "0-1")


def require_lnc(compiled: int) -> None:
    """Raises RuntimeError where a program was compiled for other logical cores than the runtime has."""
    default = "2" if _family() == "trn2" else "1"
    if (here := int(os.environ.get("NEURON_LOGICAL_NC_CONFIG", default))) != compiled:
        raise RuntimeError(f"NEFF was compiled for --lnc {compiled}, and the runtime has LNC={here}")
