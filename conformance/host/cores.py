"""The NeuronCores that this process may use, and what family of instances they are of."""

from __future__ import annotations

import os
import re
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from filelock import FileLock

from conformance.core.errors import UserError
from conformance.host.instance import family_of, find_instance_type
from conformance.host.neuron import find_neuron
from conformance.host.probe import Host
from conformance.host.sdk import TOOLS

VISIBLE, COUNT, LNC = "NEURON_RT_VISIBLE_CORES", "NEURON_RT_NUM_CORES", "NEURON_LOGICAL_NC_CONFIG"


@dataclass(frozen=True)
class Cores:
    """`indices` are the logical NeuronCores that are visible; `family` is inf2, trn1, trn2, None where it is not
    known. `lnc`: how many physical cores make a logical one. `trouble` is why there are none, and what helps.
    `driver` and `runtime` are versions."""

    family: str | None
    indices: tuple[int, ...]
    lnc: int
    trouble: str | None = None
    instance: str | None = None
    driver: str | None = None
    runtime: str | None = None
    tools: str | None = None


def host_lock(name: str, timeout: float = 0, folder: Path | None = None) -> FileLock:
    """A lock of this host, for all processes of all users on it, and of containers that see its /tmp."""
    if folder is None:
        temporary = Host().root / "tmp"
        folder = temporary if os.access(temporary, os.W_OK) else Path(tempfile.gettempdir())
        folder /= "neuron-conformance"
    if not folder.exists():
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o777)
    return FileLock(folder / f"{name}.lock", timeout=timeout, mode=0o666)


@cache
def host_cores() -> Cores:
    """Those of this host. Raises UserError for a variable that is none."""
    return find_cores(Host())


def find_cores(host: Host) -> Cores:
    """Those of a host: all that neuron-ls lists, or the part that the environment makes visible."""
    neuron, listed = find_neuron(host)
    instance = find_instance_type(host, listed, bool(neuron.nodes))
    family = family_of(instance)
    count = sum(device.logical_cores for device in neuron.devices)
    lnc = next((d.physical_cores // d.logical_cores for d in neuron.devices if d.logical_cores), 1)
    trouble: str | None
    if not neuron.nodes:
        trouble, count = "there is no /dev/neuron*: no Neuron device, or its driver is not loaded", 0
    elif count:
        trouble = None if family else "nothing says what instance this is, and so what to compile for"
    else:
        trouble = neuron.trouble or "no neuron-ls lists the cores: install aws-neuronx-tools"
    given = host.environ.get(LNC)
    return Cores(
        family=family,
        indices=_visible(host, count),
        lnc=_lnc(given, lnc),
        trouble=trouble,
        instance=instance,
        driver=neuron.driver_loaded,
        runtime=neuron.runtime,
        tools=neuron.installed.get(TOOLS),
    )


def _visible(host: Host, count: int) -> tuple[int, ...]:
    if text := host.environ.get(VISIBLE):
        return _listed(text)
    limit = host.environ.get(COUNT, "")
    return tuple(range(min(count, int(limit)) if limit.isdecimal() and int(limit) else count))


def _listed(text: str) -> tuple[int, ...]:
    """`0-3,6` are 0, 1, 2, 3 and 6."""
    found: dict[int, None] = {}
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d+)(?:-(\d+))?\s*", part)
        if match is None:
            raise UserError(f"{VISIBLE}={text} is no list of cores, such as 0 or 0-3")
        found |= dict.fromkeys(range(int(match[1]), int(match[2] or match[1]) + 1))
    return tuple(found)


def _lnc(given: str | None, listed: int) -> int:
    if given in (None, "", "1", "2"):
        return int(given or listed)
    raise UserError(f"{LNC}={given}: physical cores that make a logical one, 1 or 2")
