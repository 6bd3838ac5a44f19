"""The Neuron side of a host: device files, what neuron-ls says, driver and runtime."""

from __future__ import annotations

import re
from contextlib import suppress

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from conformance.host.facts import NeuronDevice, NeuronFacts, Process
from conformance.host.probe import Host, ToolError


class ListedProcess(BaseModel):
    """A process in the JSON of neuron-ls."""

    pid: int
    command: str | None = None


class ListedDevice(BaseModel):
    """A device in the JSON of neuron-ls; memory in bytes. Keys that are not needed here are let be.

    `nc_count` counts logical cores. The tools of hosts without logical cores leave their configuration out.
    """

    neuron_device: int
    nc_count: int = Field(ge=0)
    memory_size: int = 0
    logical_neuroncore_config: int | None = Field(default=None, ge=1)
    neuron_processes: list[ListedProcess] | None = None
    instance_type: str | None = None

    @property
    def device(self) -> NeuronDevice:
        """What the JSON says, in our words."""
        return NeuronDevice(
            index=self.neuron_device,
            logical_cores=self.nc_count,
            physical_cores=self.nc_count * (self.logical_neuroncore_config or 1),
            memory=self.memory_size,
            processes=tuple(Process(p.pid, p.command or "") for p in self.neuron_processes or ()),
        )


_LISTING = TypeAdapter(list[ListedDevice])
_PACKAGES = "aws-neuronx-*"
_MANAGERS = {
    "dpkg-query": ("--show", "--showformat", r"${Package} ${Version}\n", _PACKAGES),
    "rpm": ("--query", "--all", "--queryformat", r"%{NAME} %{VERSION}\n", _PACKAGES),
}


def list_devices(host: Host, tool: str) -> list[ListedDevice]:
    """What neuron-ls says. Raises ToolError where it says nothing that can be read."""
    printed = host.output(tool, "--json-output")
    try:
        return _LISTING.validate_json(printed)
    except ValidationError as error:
        problem = error.errors()[0]
    said = " ".join(printed.split())[:80]
    if not said:
        raise ToolError("neuron-ls printed nothing")
    if problem["type"] == "json_invalid":
        raise ToolError(f"neuron-ls printed no JSON but {said!r}")
    where = ".".join(str(part) for part in problem["loc"]) or "all of it"
    raise ToolError(f"neuron-ls printed JSON of another shape: {where}: {problem['msg']}")


def find_neuron(host: Host) -> tuple[NeuronFacts, str | None]:
    """The Neuron side, and the instance type where neuron-ls tells it (those of newer SDKs do)."""
    listed: list[ListedDevice] = []
    trouble = None
    tool = host.tool("neuron-ls")
    if tool:
        try:
            listed = list_devices(host, tool)
        except ToolError as error:
            trouble = str(error)
    neuron = NeuronFacts(
        nodes=_nodes(host),
        tool=tool,
        devices=tuple(device.device for device in listed),
        trouble=trouble,
        driver_loaded=host.read("sys/module/neuron/version"),
        driver_installed=_installed_driver(host),
        installed=_installed_packages(host),
    )
    return neuron, next((device.instance_type for device in listed if device.instance_type), None)


def _nodes(host: Host) -> tuple[str, ...]:
    """`/dev/neuron0`, `/dev/neuron1`, ... in this order."""
    found = (re.fullmatch(r"neuron(\d+)", path.name) for path in (host.root / "dev").glob("neuron*"))
    return tuple(f"/dev/neuron{number}" for number in sorted(int(match[1]) for match in found if match))


def _installed_driver(host: Host) -> str | None:
    """The version that would be loaded at the next start."""
    modinfo = host.tool("modinfo")
    if modinfo is None:
        return None
    try:
        return host.output(modinfo, "-F", "version", "neuron").strip() or None
    except ToolError:  # no such module
        return None


def _installed_packages(host: Host) -> dict[str, str]:
    """AWS's packages of the operating system, without the builds of their versions."""
    found: dict[str, str] = {}
    for manager, command in _MANAGERS.items():
        if tool := host.tool(manager):
            with suppress(ToolError):  # there are none
                lines = (line.split() for line in host.output(tool, *command).splitlines())
                found |= {line[0]: line[1].partition("-")[0] for line in lines if len(line) == 2}
    return found
