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
    first, last = _visible()
    single_tenant.take(first * _lnc(), (last + 1) * _lnc() - 1, _lnc())


def visible_cores() -> int:
    """How many this process may use: all of the one device, or those that the environment names."""
    first, last = _visible()
    return last - first + 1


def _visible() -> tuple[int, int]:
    return single_tenant.visible(f"0-{8 // _lnc() - 1}" if _family() == "trn2" else "0-1")


def _lnc() -> int:
    """How many physical cores make a logical one in this process."""
    return int(os.environ.get("NEURON_LOGICAL_NC_CONFIG") or ("2" if _family() == "trn2" else "1"))


def require_lnc(compiled: int) -> None:
    """Raises RuntimeError where a program was compiled for other logical cores than the runtime has."""
    if _lnc() != compiled:
        raise RuntimeError(f"NEFF was compiled for --lnc {compiled}, and the runtime has LNC={_lnc()}")
