from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from conformance.cases.releases import Release
from conformance.commands.doctor import examine
from conformance.host.advice import advise
from conformance.host.facts import Sdk
from conformance.host.probe import Host


@pytest.fixture
def given(
    bare: Host, registered: Callable[..., None], known: dict[str, Release]
) -> Callable[..., list[tuple[str, str | None]]]:
    """What is advised on the bare host, with some of its facts replaced."""
    registered({}, {})
    facts = examine(bare)

    def texts(
        machine: Mapping[str, Any] | None = None,
        neuron: Mapping[str, Any] | None = None,
        packages: Mapping[str, Any] | None = None,
    ) -> list[tuple[str, str | None]]:
        changed = replace(
            facts,
            machine=replace(facts.machine, **(machine or {})),
            neuron=replace(facts.neuron, **(neuron or {})),
            packages=replace(facts.packages, **(packages or {})),
        )
        return [(advice.text, advice.command) for advice in advise(changed, known)]

    return texts


NODES = {"nodes": ("/dev/neuron0",), "tool": "/bin/neuron-ls"}
XLA = {"versions": {"torch-neuronx": "2.9.0.2.15.32035"}}
INSTALL = (
    "pip install --extra-index-url https://pip.repos.neuron.amazonaws.com "
    "neuronx-cc==2.26.6360.0 torch-neuronx==2.9.0.2.15.32035"
)


def test_a_laptop_needs_no_advice(given: Callable[..., list[tuple[str, str | None]]]) -> None:
    assert given() == []


def test_a_neuron_host_in_order_needs_none(given: Callable[..., list[tuple[str, str | None]]]) -> None:
    assert (
        given({"instance_type": "inf2.xlarge"}, NODES | {"driver_loaded": "2.29", "driver_installed": "2.29"}, XLA)
        == []
    )


def test_devices_without_the_tool(given: Callable[..., list[tuple[str, str | None]]]) -> None:
    text, command = given(neuron=NODES | {"tool": None}, packages=XLA)[0]
    assert "no neuron-ls" in text
    assert command is not None
    assert command.startswith("apt-get install aws-neuronx-tools")


def test_devices_without_torch_neuronx_name_the_newest_release_that_has_one(
    given: Callable[..., list[tuple[str, str | None]]],
) -> None:
    assert given(neuron=NODES) == [("There are Neuron devices, but torch-neuronx is not installed.", INSTALL)]


def test_a_container_that_was_not_given_the_devices(given: Callable[..., list[tuple[str, str | None]]]) -> None:
    [(text, command)] = given({"instance_type": "inf2.xlarge"}, {"driver_loaded": "2.29"})
    assert "no /dev/neuron*" in text
    assert command is not None
    assert "--device=/dev/neuron0" in command


@pytest.mark.parametrize(
    ("installed", "command"), [(None, "apt-get install aws-neuronx-dkms"), ("2.29", "modprobe neuron")]
)
def test_an_instance_without_its_driver(
    given: Callable[..., list[tuple[str, str | None]]], installed: str | None, command: str
) -> None:
    [(text, found)] = given({"instance_type": "trn1.2xlarge"}, {"driver_installed": installed})
    assert text == "trn1.2xlarge has Neuron devices, but the driver is not loaded."
    assert found is not None
    assert found.startswith(command)


def test_a_driver_that_waits_for_a_boot(given: Callable[..., list[tuple[str, str | None]]]) -> None:
    [(text, _)] = given(neuron=NODES | {"driver_loaded": "2.27", "driver_installed": "2.29"}, packages=XLA)
    assert text == "Driver 2.27 is loaded; 2.29 is installed and takes over at the next boot."


@pytest.mark.parametrize(
    ("instance", "wrong"), [("inf2.xlarge", True), ("trn1.2xlarge", True), ("trn2.3xlarge", False)]
)
def test_the_native_library_does_not_run_on_older_cores(
    given: Callable[..., list[tuple[str, str | None]]],
    with_packages: Callable[..., Host],
    known: dict[str, Release],
    instance: str,
    wrong: bool,
) -> None:
    from conformance.host.packages import find_packages

    native = find_packages(with_packages({"torch-neuronx": "2.13.3.0.1"}), known)
    found = given(
        {"instance_type": instance}, NODES, {"versions": native.versions, "torch_neuronx": native.torch_neuronx}
    )
    expected = (f"torch-neuronx 2.13.3.0.1 does not run on {instance}; the 2.9 line does.", INSTALL)
    assert found == ([expected] if wrong else [])


def test_a_compiler_off_the_path(given: Callable[..., list[tuple[str, str | None]]]) -> None:
    [(_, command)] = given(packages={"compiler_off_path": "/opt/venv/bin/neuronx-cc"})
    assert command == 'export PATH="/opt/venv/bin:$PATH"'


def test_conflicts_are_passed_on(given: Callable[..., list[tuple[str, str | None]]]) -> None:
    assert given(packages={"conflicts": ("a 1 needs b",)}) == [("a 1 needs b.", None)]


@pytest.mark.parametrize(
    ("torch", "torchvision", "trap"),
    [
        ("cpu", "cu130", True),
        ("cpu", "cpu", False),
        ("cu128", "cu128", False),
        ("cu128", "cpu", False),
        ("cpu", None, False),
    ],
)
def test_torchvision_for_cuda_beside_torch_for_the_cpu(
    given: Callable[..., list[tuple[str, str | None]]], torch: str, torchvision: str | None, trap: bool
) -> None:
    builds = {"torch_build": torch, "torchvision_build": torchvision, "versions": {"torchvision": "0.28.0"}}
    found = given(packages=builds)
    assert len(found) == trap
    if trap:
        assert "torchvision for cu130" in found[0][0]
        assert found[0][1] is not None
        assert found[0][1].endswith("/whl/cpu torchvision==0.28.0")


def test_release_that_is_newer_than_all_is_said(given: Callable[..., list[tuple[str, str | None]]]) -> None:
    newer = Sdk(None, "2.33.0", {"neuronx-cc": None}, newer=True)
    ((text, _),) = given(packages={"sdk": newer})
    assert "newer than 2.33.0, the newest that this suite knows: everything runs, as near-2.33.0" in text
    assert given(packages={"sdk": replace(newer, newer=False)}) == []
