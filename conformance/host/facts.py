"""What is known of a host: plain data, found by the modules beside this one."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True)
class Machine:
    """The computer. `memory` is in bytes and counts what this process may use; `neuroncore` is `v3` of a trn2."""

    platform: str
    python: str
    environment: str
    cpus: int
    memory: int | None
    instance_type: str | None
    neuroncore: str | None


@dataclass(frozen=True)
class Process:
    """A process that holds a Neuron device."""

    pid: int
    command: str


@dataclass(frozen=True)
class NeuronDevice:
    """A Neuron device. `memory` is in bytes. A logical core is one or more physical cores."""

    index: int
    logical_cores: int
    physical_cores: int
    memory: int
    processes: tuple[Process, ...]


@dataclass(frozen=True)
class NeuronFacts:
    """The Neuron side of the host. `trouble` is why neuron-ls gave no devices although it is there.

    `nodes` are the device files. The driver that is loaded need not be the one that is installed. `installed` are
    AWS's packages of the operating system with their versions.
    """

    nodes: tuple[str, ...]
    tool: str | None
    devices: tuple[NeuronDevice, ...]
    trouble: str | None
    driver_loaded: str | None
    driver_installed: str | None
    installed: dict[str, str]

    @property
    def runtime(self) -> str | None:
        """The version of the runtime library."""
        return self.installed.get("aws-neuronx-runtime-lib")


class TorchNeuronx(str, Enum):
    """Two libraries have the name torch-neuronx: up to 2.9 it traces with torch-xla, from 2.13 it does not."""

    XLA = "xla"
    NATIVE = "native"


@dataclass(frozen=True)
class Sdk:
    """The SDK release that the installed versions belong to.

    `release` is None where they do not belong to one. `packages` gives the release that each of them is of,
    and None for a version of no known release. `newer`: its compiler is newer than that of every known release.
    """

    release: str | None
    closest: str | None
    packages: dict[str, str | None]
    newer: bool = False


@dataclass(frozen=True)
class Packages:
    """Installed distributions. A build is the part of a version that PyPI does not show: `cpu`, `cu130`."""

    versions: dict[str, str | None]
    torch_build: str | None
    torchvision_build: str | None
    torch_neuronx: TorchNeuronx | None
    sdk: Sdk | None
    conflicts: tuple[str, ...]
    compilers: dict[str, str | None]
    compiler_off_path: str | None


@dataclass(frozen=True)
class Usable:
    """A target or system, and why it cannot be used here; None where it can."""

    name: str
    missing: str | None
    emulated: bool = False


@dataclass(frozen=True)
class Facts:
    """All of it. `variables` are those of the environment that change what is compiled or where it runs."""

    machine: Machine
    neuron: NeuronFacts
    packages: Packages
    variables: dict[str, str]
    targets: tuple[Usable, ...]
    systems: tuple[Usable, ...]

    @property
    def usable(self) -> bool:
        """Whether anything can be run here: at least one target and one system."""
        return any(t.missing is None for t in self.targets) and any(s.missing is None for s in self.systems)
