"""What the two targets called neuron know of their host: its family, its release, its logical cores."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from conformance.cases.releases import releases
from conformance.core.errors import UserError
from conformance.host.cores import LNC, VISIBLE, host_cores
from conformance.host.probe import installed_version
from conformance.host.sdk import COMPILER, FRAMEWORK, identify, public
from conformance.targets.base import BaseTarget
from conformance.targets.protocol import Unsupported

if TYPE_CHECKING:
    from conformance.cases.case import Column

_NO_CORE = "Neuron Runtime could not be initialized"  # what torch-neuronx says of a core that is taken, too
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


@contextmanager
def on_core() -> Iterator[None]:
    """While inside, a runtime that gets no NeuronCore is a trouble of the host, a UserError, and no failure of what
    was compiled."""
    try:
        yield
    except RuntimeError as error:
        if _NO_CORE not in str(error):
            raise
        cores = os.environ.get(VISIBLE, "that is visible")
        raise UserError(
            f"the runtime gets no NeuronCore {cores}: another program holds it (neuron-ls names the process), or the "
            f"driver is too old for the runtime (see the system log); {VISIBLE} chooses others"
        ) from None


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
        found = identify({name: installed_version(name) for name in (COMPILER, FRAMEWORK)}, releases())
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
            "aws-neuronx-dkms": cores.driver,
            "aws-neuronx-runtime-lib": cores.runtime,
        }
        return {name: text for name, text in found.items() if text}

    def process(self, settings: tuple[str, ...]) -> dict[str, str]:
        """The environment in which the runtime has the logical cores that the compiler is told of."""
        lnc = next((name.removeprefix("lnc") for name in settings if name in LOGICAL_CORES), None)
        return {LNC: lnc} if lnc else {}
