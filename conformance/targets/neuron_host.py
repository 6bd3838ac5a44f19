"""What the two targets called neuron know of their host: its family, its release, its logical cores."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

from conformance.cases.releases import releases
from conformance.host.cores import LNC, VISIBLE, host_cores, host_lock
from conformance.host.probe import installed_version, program_path
from conformance.host.sdk import COMPILER, DRIVER, FRAMEWORK, TOOLS, identify, public
from conformance.host.trouble import core_trouble, no_core
from conformance.targets.base import BaseTarget
from conformance.targets.protocol import Unsupported

if TYPE_CHECKING:
    from conformance.cases.case import Column

_APART = 0.3  # seconds between two starts of the runtime
LOGICAL_CORES = {
    "lnc1": "a physical NeuronCore is a logical one, for the compiler and the runtime",
    "lnc2": "two physical NeuronCores make a logical one, for the compiler and the runtime",
}


def families(offered: tuple[str, ...]) -> tuple[str, ...]:
    """The family of this host where it is among those offered; else all of them."""
    family = host_cores().family
    return (family,) if family in offered else offered


def require_device(hardware: str, instead: str) -> None:
    """Raises Unsupported where this host cannot run what is for a family; `instead` says what it can do."""
    cores = host_cores()
    if cores.trouble:
        raise Unsupported(f"{cores.trouble}{instead}")
    if cores.family != hardware:
        raise Unsupported(f"this host is {cores.family}, not {hardware}{instead}")


def other_torch(framework: str) -> str | None:
    """Why the torch that is installed is not that of torch-neuronx, by the first two numbers of both."""
    torch = installed_version("torch") or "none"
    if torch.split(".")[:2] == framework.split(".")[:2]:
        return None
    line = ".".join(framework.split(".")[:2])
    return (
        f"torch-neuronx {framework} needs torch {line}, and {torch} is installed: install AWS's again, and what "
        "comes later with the constraints of contrib/keep.py"
    )


def missing_programs(*names: str) -> str | None:
    """Why programs of AWS's packages are not there, neither in the environment nor on PATH."""
    absent = [name for name in names if shutil.which(name, path=program_path()) is None]
    return f"there is no {' and no '.join(absent)}: install neuronx-cc and libneuronxla again" if absent else None


@contextmanager
def on_core() -> Iterator[None]:
    """While inside, a runtime that gets no NeuronCore is a HostTrouble, and no failure of what was compiled."""
    _start_apart()
    try:
        yield
    except Exception as error:
        if not no_core(str(error)):
            raise
        raise core_trouble(os.environ.get(VISIBLE)) from None


@cache
def _start_apart() -> None:
    """Wait until no other process of this host is about to start the runtime: two that start within milliseconds both
    find the cores busy. Once in a process. aws-neuron-sdk#1338."""
    with host_lock("runtime-start", timeout=-1):
        time.sleep(_APART)


class OnNeuron(BaseTarget):
    """What both targets are: real, of the installed packages, on the NeuronCores of this host."""

    hardware: tuple[str, ...] = ()

    @property
    def default_hardware(self) -> tuple[str, ...]:
        """The family of this host; all where it is none of them."""
        return families(self.hardware)

    @property
    def sdks(self) -> tuple[str, ...]:  # type: ignore[override]
        """The SDK release that is installed, `near-2.31.1` for packages that are of no one release; none of none."""
        cores = host_cores()
        system = {TOOLS: cores.tools, DRIVER: cores.driver}
        found = identify({name: installed_version(name) for name in (COMPILER, FRAMEWORK)} | system, releases())
        return () if found is None else (found.release or f"near-{found.closest}",)

    def packages(self, hardware: str, sdk: str | None) -> dict[str, str]:
        """The installed ones that decide which known defects there are, without the builds of AWS's wheels."""
        names = (COMPILER, FRAMEWORK, "libneuronxla", "torch-xla")
        return {name: public(found) for name in names if (found := installed_version(name))}

    def conditions(self, column: Column, dtype: str) -> dict[str, str]:
        """The instance, and the driver and runtime that are installed on it."""
        cores = host_cores()
        found = {
            "instance": cores.instance,
            DRIVER: cores.driver,
            "aws-neuronx-runtime-lib": cores.runtime,
        }
        return {name: text for name, text in found.items() if text}

    def process(self, settings: tuple[str, ...]) -> dict[str, str]:
        """The environment in which the runtime has the logical cores that the compiler is told of."""
        lnc = next((name.removeprefix("lnc") for name in settings if name in LOGICAL_CORES), None)
        return {LNC: lnc} if lnc else {}
