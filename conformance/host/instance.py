"""What EC2 instance this is: the first that says it of firmware, tools, driver and metadata service."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator

from conformance.host.probe import Host, ToolError

_DRIVER = "sys/devices/virtual/neuron_device/neuron0/neuron_core0/info/architecture/instance_type"
_METADATA = "http://169.254.169.254/latest"
# Elsewhere the file of the firmware holds the name of a laptop or a mainboard.
_INSTANCE = re.compile(r"[a-z][a-z0-9-]*\.[a-z0-9-]+")
_NEURON = re.compile(r"(inf|trn)\d\w*(\.\w+)?")
_FAMILY = re.compile(r"(inf|trn)\d")
_NEURONCORES = {"inf1": "v1", "inf2": "v2", "trn1": "v2", "trn2": "v3", "trn3": "v4"}


def find_instance_type(host: Host, listed: str | None, devices: bool) -> str | None:
    """`inf2.xlarge`; of a driver alone, `inf2`. `listed` is what neuron-ls says. What takes time is asked only where
    there are Neuron devices."""
    quick: list[Callable[[], str | None]] = [lambda: _firmware(host), lambda: listed, lambda: _driver(host)]
    slow: list[Callable[[], str | None]] = [lambda: _monitor(host), lambda: _metadata(host)]
    answers: Iterator[str | None] = (ask() for ask in (*quick, *(slow if devices else ())))
    return next((answer for answer in answers if answer), None)


def family_of(instance_type: str | None) -> str | None:
    """`trn2` of a trn2.48xlarge; None of what has no Neuron device."""
    found = _FAMILY.match(instance_type or "")
    return found[0] if found else None


def neuroncore_version(instance_type: str | None) -> str | None:
    """`v3` of a trn2.48xlarge."""
    return _NEURONCORES.get(family_of(instance_type) or "")


def _firmware(host: Host) -> str | None:
    name = host.read("sys/devices/virtual/dmi/id/product_name") or ""
    return name if _INSTANCE.fullmatch(name) else None


def _driver(host: Host) -> str | None:
    name = (host.read(_DRIVER) or "").lower()
    return name if _NEURON.fullmatch(name) else None


def _monitor(host: Host) -> str | None:
    """neuron-monitor reports without end, a line of JSON a time: the first is enough."""
    tool = host.tool("neuron-monitor")
    if tool is None:
        return None
    try:
        said = json.loads(host.first_line(tool))["instance_info"]["instance_type"]
    except (ToolError, ValueError, KeyError, TypeError):
        return None
    return said if isinstance(said, str) and _NEURON.fullmatch(said) else None


def _metadata(host: Host) -> str | None:
    """EC2's own service, by its second version: with a token."""
    token = host.fetch("PUT", f"{_METADATA}/api/token", {"X-aws-ec2-metadata-token-ttl-seconds": "60"})
    if token is None:
        return None
    said = host.fetch("GET", f"{_METADATA}/meta-data/instance-type", {"X-aws-ec2-metadata-token": token})
    return said if said and _NEURON.fullmatch(said) else None
