"""`conformance doctor`: what this host is, what it can run, and what is missing."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from conformance.cases import options
from conformance.cases.releases import releases
from conformance.commands.arguments import AsJson, console
from conformance.host.advice import advise
from conformance.host.facts import Facts, NeuronDevice, Packages, Sdk, TorchNeuronx, Usable
from conformance.host.instance import find_instance_type
from conformance.host.machine import find_machine
from conformance.host.neuron import find_neuron
from conformance.host.packages import find_packages
from conformance.host.probe import Host
from conformance.host.sdk import DRIVER
from conformance.host.usable import usable
from conformance.systems import loading as systems
from conformance.targets import loading as targets

VARIABLES = (
    "NEURON_RT_VISIBLE_CORES", "NEURON_RT_NUM_CORES", "NEURON_LOGICAL_NC_CONFIG", "NEURON_CC_FLAGS",
    "XLA_DISABLE_FUNCTIONALIZATION", "PJRT_DEVICE",
)  # fmt: skip
_KINDS = {TorchNeuronx.XLA: "traces with torch-xla", TorchNeuronx.NATIVE: "TorchNeuron, without torch-xla"}
_LABEL_WIDTH = 20

Row = tuple[str, str, str]  # label, text, style


def examine(host: Host | None = None) -> Facts:
    """Find out about this host, or the one given. Takes up to `host.patience` seconds a tool, imports no torch."""
    host = host or Host()
    neuron, listed = find_neuron(host)
    return Facts(
        machine=find_machine(host, find_instance_type(host, listed, bool(neuron.nodes))),
        neuron=neuron,
        packages=find_packages(host, releases(), {**neuron.installed, DRIVER: neuron.driver_loaded}),
        variables={name: host.environ[name] for name in VARIABLES if name in host.environ},
        targets=usable(targets.target_names(), targets.load_target),
        systems=usable(systems.system_names(), systems.load_system),
    )


def exit_code(facts: Facts) -> int:
    """0 where at least one target and one system can be used, 1 otherwise."""
    return 0 if facts.usable else 1


def facts_json(facts: Facts) -> str:
    """All facts and the advice, as an indented JSON object. Memory is in bytes."""
    advice = [asdict(advice) for advice in advise(facts, releases())]
    return json.dumps({**asdict(facts), "advice": advice, "usable": facts.usable}, indent=2)


def print_report(facts: Facts, console: Console) -> int:
    """Print the report; what to do and the verdict come last. Returns the exit code."""
    _print_section(console, "Host", _host_rows(facts))
    _print_section(console, "Neuron", _neuron_rows(facts))
    _print_section(console, "Packages", _package_rows(facts.packages))
    _print_section(console, "Targets", _usable_rows(facts.targets))
    _print_section(console, "Systems", _usable_rows(facts.systems))
    _print_advice(facts, console)
    console.print(_verdict(facts), soft_wrap=True)
    return exit_code(facts)


def _print_section(console: Console, title: str, rows: Iterable[Row]) -> None:
    """A title and its rows. Lines are not cut: the terminal wraps them, and a command can be copied whole."""
    console.print(Text(title, "bold"))
    for label, text, style in rows:
        console.print(Text(f"  {label:{_LABEL_WIDTH - 1}} ").append(text, style), soft_wrap=True)
    console.print()


def _host_rows(facts: Facts) -> Iterator[Row]:
    machine = facts.machine
    yield "instance", machine.instance_type or "not known", "" if machine.instance_type else "dim"
    yield "platform", machine.platform, ""
    yield "CPUs, memory", f"{machine.cpus}, {_gib(machine.memory) if machine.memory else 'not known'}", ""
    yield "Python", f"{machine.python} in {machine.environment}", ""
    for name, path in facts.packages.compilers.items():
        yield name, path or "not found", "" if path else "dim"
    for name, value in facts.variables.items():
        yield "variable", f"{name}={value}", ""


def _neuron_rows(facts: Facts) -> Iterator[Row]:
    neuron = facts.neuron
    if facts.machine.neuroncore:
        yield "NeuronCore", facts.machine.neuroncore, ""
    if neuron.devices:
        alike = Counter(_device(device) for device in neuron.devices)
        for text, count in alike.items():
            yield "devices", f"{count}, {'each with ' if count > 1 else ''}{text}", ""
    elif neuron.nodes:
        yield "devices", f"{len(neuron.nodes)} ({', '.join(neuron.nodes)}), cores not known", ""
    else:
        yield "devices", "none (there is no /dev/neuron*)", "dim"
    driver = neuron.driver_loaded or (f"{neuron.driver_installed}, not loaded" if neuron.driver_installed else None)
    yield "driver", driver or "not found", "" if driver else "dim"
    yield "runtime", neuron.runtime or "not found", "" if neuron.runtime else "dim"
    if neuron.trouble:
        yield "neuron-ls", neuron.trouble.removeprefix("neuron-ls "), "red"
    else:
        yield "neuron-ls", neuron.tool or "not found", "" if neuron.tool else "dim"
    sdk = facts.packages.sdk
    yield (
        "SDK release",
        _sdk(sdk) if sdk else "none installed",
        "dim" if sdk is None else "" if sdk.release else "yellow",
    )


def _device(device: NeuronDevice) -> str:
    cores = f"{device.logical_cores} NeuronCores"
    if device.physical_cores != device.logical_cores:
        cores = f"{device.logical_cores} logical NeuronCores ({device.physical_cores} physical)"
    return f"{cores}, {_gib(device.memory)}"


def _gib(size: int) -> str:
    return f"{size / 2**30:.3g} GiB" if size < 100 * 2**30 else f"{size / 2**30:.0f} GiB"


def _sdk(sdk: Sdk) -> str:
    """`2.29.1`, and by what."""
    names = " and ".join(sdk.packages)
    if sdk.release:
        return f"{sdk.release}, or a patch of it with the same {names}"
    parts = ", ".join(f"{name} {release or 'of none that is known'}" for name, release in sdk.packages.items())
    if sdk.newer:
        return f"newer than {sdk.closest}, the newest that is known here ({parts})"
    what = "unreleased combination" if len(sdk.packages) > 1 else "no known release"
    return what + (f", closest: {sdk.closest}" if sdk.closest else "") + f" ({parts})"


def _package_rows(packages: Packages) -> Iterator[Row]:
    builds = {"torch": packages.torch_build, "torchvision": packages.torchvision_build}
    for name, version in packages.versions.items():
        if version:
            build = builds.get(name)
            text = f"{version} (built for {build})" if build and f"+{build}" not in version else version
            if name == "torch-neuronx":
                text += f" ({_KINDS[packages.torch_neuronx]})" if packages.torch_neuronx else " (of an unknown line)"
            yield name, text, ""
    absent = [name for name, version in packages.versions.items() if not version]
    if absent:
        yield "not installed", ", ".join(absent), "dim"


def _usable_rows(group: Iterable[Usable]) -> Iterator[Row]:
    rows = list(group)
    if not rows:
        yield "none", "no entry points are found: pip install neuron-conformance again", "red"
    for one in rows:
        if one.missing is None:
            yield one.name, "ready, emulated" if one.emulated else "ready", "green"
        else:
            yield one.name, one.missing.removeprefix(f"{one.name} "), "yellow"


def _print_advice(facts: Facts, console: Console) -> None:
    found = advise(facts, releases())
    if not found:
        return
    console.print(Text("To look at", "bold"))
    for advice in found:
        if console.is_terminal:
            console.print(Padding(Text(advice.text, "yellow"), (0, 0, 0, 2), expand=False))
        else:
            console.print(Text(f"  {advice.text}"), soft_wrap=True)
        if advice.command:
            console.print(Text(f"    {advice.command}"), soft_wrap=True)
    console.print()


def _verdict(facts: Facts) -> Text:
    counts = []
    for noun, group in (("target", facts.targets), ("system", facts.systems)):
        ready = sum(one.missing is None for one in group)
        counts.append(f"{ready} of {len(group)} {noun}{'' if len(group) == 1 else 's'} ready")
    verdict = ", ".join(counts)
    return Text(verdict, "bold green") if facts.usable else Text(f"Nothing can be run here: {verdict}", "bold red")


def main(
    run: Annotated[
        bool, typer.Option("--run", help="Try a small model as well, and write a bundle for a bug report: minutes.")
    ] = False,
    target: Annotated[str | None, typer.Option(help="What --run tries; else the NeuronCores of this host.")] = None,
    as_json: AsJson = False,
) -> None:
    """What this host is, what can be tested here, what is missing and how to install it."""
    options.at_most_one(run=run, as_json=as_json)
    options.only_with("--run", run, target=target is not None)
    if run:
        from conformance.commands import doctor_run  # with all that runs a case

        raise typer.Exit(doctor_run.show(doctor_run.chosen_target(target), lambda: facts_json(examine()), console()))
    facts = examine()
    if as_json:
        typer.echo(facts_json(facts))
    else:
        print_report(facts, console())
    raise typer.Exit(exit_code(facts))
