"""What is wrong with a host or may surprise on it, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from conformance.cases.releases import Release
from conformance.host.facts import Facts, Sdk, TorchNeuronx
from conformance.host.sdk import COMPILER, FRAMEWORK

INDEX = "https://pip.repos.neuron.amazonaws.com"


@dataclass(frozen=True)
class Advice:
    """One line on what is the matter, and the command that helps where there is one."""

    text: str
    command: str | None = None


def advise(facts: Facts, known: Mapping[str, Release]) -> list[Advice]:
    """All there is to say, the device first. `known` are the SDK releases."""
    newer = _newer(facts.packages.sdk)
    return [*_device(facts), *_processes(facts), *_framework(facts, known), *newer, *_packages(facts)]


def _device(facts: Facts) -> Iterator[Advice]:
    neuron, instance = facts.neuron, facts.machine.instance_type or ""
    loaded, installed = neuron.driver_loaded, neuron.driver_installed
    if neuron.nodes and not neuron.tool:
        yield Advice("There are Neuron devices, but no neuron-ls to list their cores.", _system("aws-neuronx-tools"))
    if loaded and not neuron.nodes:
        yield Advice(
            "The Neuron driver is loaded, but there is no /dev/neuron* here. A container must be given the devices.",
            "docker run --device=/dev/neuron0 ...",
        )
    elif instance.startswith(("inf2", "trn")) and not neuron.nodes:
        command = "modprobe neuron" if installed else _system("aws-neuronx-dkms")
        yield Advice(f"{instance} has Neuron devices, but the driver is not loaded.", command)
    if loaded and installed and loaded != installed:
        yield Advice(f"Driver {loaded} is loaded; {installed} is installed and takes over at the next boot.")


def _system(package: str) -> str:
    return f"apt-get install {package}  # dnf on Amazon Linux"


def _processes(facts: Facts) -> Iterator[Advice]:
    """One line, however many they are."""
    holders = {process.pid: process for device in facts.neuron.devices for process in device.processes}
    devices = [str(device.index) for device in facts.neuron.devices if device.processes]
    if not holders:
        return
    first = next(iter(holders.values()))
    named = f"{first.pid} ({first.command})" if first.command else str(first.pid)
    others = f" and {len(holders) - 1} more" if len(holders) > 1 else ""
    yield Advice(
        f"Cores of device {', '.join(devices)} are held by process {named}{others}; "
        "they cannot be used until released."
    )


def _framework(facts: Facts, known: Mapping[str, Release]) -> Iterator[Advice]:
    packages, instance = facts.packages, facts.machine.instance_type or ""
    if (facts.neuron.nodes or facts.neuron.devices) and packages.versions.get(FRAMEWORK) is None:
        yield Advice(f"There are Neuron devices, but {FRAMEWORK} is not installed.", _install(known))
    if packages.compiler_off_path:
        folder = packages.compiler_off_path.rpartition("/")[0]
        yield Advice(f"{COMPILER} is installed, but its folder is not on PATH.", f'export PATH="{folder}:$PATH"')
    if packages.torch_neuronx is TorchNeuronx.NATIVE and instance.startswith(("inf", "trn1")):
        version = packages.versions[FRAMEWORK]
        yield Advice(f"{FRAMEWORK} {version} does not run on {instance}; the 2.9 line does.", _install(known))


def _newer(sdk: Sdk | None) -> Iterator[Advice]:
    if sdk and sdk.newer:
        yield Advice(
            f"This SDK is newer than {sdk.closest}, the newest that this suite knows: everything runs, as "
            f"near-{sdk.closest}, and what came or went since is in no catalogue. A newer suite may know it.",
            "pip install --upgrade neuron-conformance",
        )


def _install(known: Mapping[str, Release]) -> str | None:
    """The newest release that has a torch-neuronx, as one pip command."""
    release = next((release for release in reversed([*known.values()]) if release.torch_neuronx), None)
    if release is None:
        return None
    wanted = f"{COMPILER}=={release.neuronx_cc} {FRAMEWORK}=={release.torch_neuronx[-1]}"
    return f"pip install --extra-index-url {INDEX} {wanted}"


def _packages(facts: Facts) -> Iterator[Advice]:
    packages = facts.packages
    yield from (Advice(f"{conflict}.") for conflict in packages.conflicts)
    torch, vision = packages.torch_build, packages.torchvision_build
    if torch == "cpu" and vision and vision != "cpu":
        version = packages.versions["torchvision"]
        index = "https://download.pytorch.org/whl/cpu"
        yield Advice(
            f"torch is built for the CPU, torchvision for {vision}: torchvision cannot be imported beside it.",
            f"pip install --force-reinstall --no-deps --index-url {index} torchvision=={version}",
        )
