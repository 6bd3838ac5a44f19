from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from conformance.host.facts import NeuronDevice, Process
from conformance.host.instance import find_instance_type
from conformance.host.machine import find_machine
from conformance.host.neuron import find_neuron
from conformance.host.probe import Host, fetched


def test_trainium2_lists_logical_cores_and_each_is_two_physical_ones(
    bare: Host, with_tool: Callable[..., str], listing: Callable[[str], str]
) -> None:
    tool = with_tool("neuron-ls", listing("trn2.3xlarge"))
    neuron, instance_type = find_neuron(bare)
    processes = (Process(4711, "python train.py --epochs 3"), Process(4712, ""))
    assert neuron.devices == (NeuronDevice(0, 4, 8, 96 * 2**30, processes),)
    assert (neuron.tool, neuron.trouble, instance_type) == (tool, None, "trn2.3xlarge")


def test_inferentia2_has_no_logical_configuration(
    bare: Host, with_tool: Callable[..., str], listing: Callable[[str], str]
) -> None:
    with_tool("neuron-ls", listing("inf2.24xlarge"))
    neuron, instance_type = find_neuron(bare)
    assert neuron.devices == (NeuronDevice(0, 2, 2, 32 * 2**30, ()), NeuronDevice(1, 2, 2, 32 * 2**30, ()))
    assert (neuron.trouble, instance_type) == (None, None)


def test_neuron_ls_is_found_where_only_login_shells_look(
    bare: Host, with_tool: Callable[..., str], listing: Callable[[str], str]
) -> None:
    tool = with_tool("neuron-ls", listing("trn2.3xlarge"), folder=bare.root / "opt/aws/neuron/bin")
    neuron, _ = find_neuron(bare)
    assert neuron.tool == tool
    assert len(neuron.devices) == 1


def test_no_tool_is_no_trouble(bare: Host) -> None:
    neuron, instance_type = find_neuron(bare)
    assert (neuron.tool, neuron.trouble, neuron.devices, instance_type) == (None, None, (), None)


@pytest.mark.parametrize(
    ("script", "trouble"),
    [
        ("echo 'neuron-ls: no driver' >&2; echo >&2; exit 3", "neuron-ls exited with 3: neuron-ls: no driver"),
        ("printf 'usage: x\\nno driver\\n' >&2; exit 2", "neuron-ls exited with 2: no driver"),
        ("echo on stdout; exit 1", "neuron-ls exited with 1: on stdout"),
        ("exit 1", "neuron-ls exited with 1"),
        ("kill -SEGV $$", "neuron-ls was ended by signal 11"),
        ("echo instance-type: inf2.xlarge; echo", "neuron-ls printed no JSON but 'instance-type: inf2.xlarge'"),
        ("echo '[{\"neuron_device\": 0,'", "neuron-ls printed no JSON but '[{\"neuron_device\": 0,'"),
        ("true", "neuron-ls printed nothing"),
        ("echo '[{\"neuron_device\": 0}]'", "neuron-ls printed JSON of another shape: 0.nc_count: Field required"),
        ("echo '{}'", "neuron-ls printed JSON of another shape: all of it: Input should be a valid array"),
    ],
)
def test_a_neuron_ls_that_fails_is_one_line(
    bare: Host, with_tool: Callable[..., str], script: str, trouble: str
) -> None:
    with_tool("neuron-ls", script)
    neuron, _ = find_neuron(bare)
    assert neuron.trouble == trouble
    assert neuron.devices == ()


def test_one_that_cannot_be_started_is_one_line(bare: Host, with_tool: Callable[..., str]) -> None:
    Path(with_tool("neuron-ls", "")).write_text("#!/no/such/interpreter\n")
    assert find_neuron(bare)[0].trouble == "neuron-ls cannot be started: No such file or directory"


def test_one_that_hangs_is_given_up_with_what_it_started(
    bare: Host, with_tool: Callable[..., str], tmp_path: Path
) -> None:
    late = tmp_path / "late"
    with_tool("neuron-ls", f"(sleep 1; touch {late}) & sleep 30")
    start = time.monotonic()
    neuron, _ = find_neuron(replace(bare, patience=0.1))
    assert neuron.trouble == "neuron-ls did not answer within 0.1 s"
    assert time.monotonic() - start < 10
    time.sleep(1.2)
    assert not late.exists(), "what the script started is still alive"


def test_device_files_are_in_the_order_of_their_numbers(bare: Host, with_file: Callable[..., None]) -> None:
    for name in ("neuron10", "neuron2", "neuron0", "neuron_core", "null"):
        with_file(f"dev/{name}")
    assert find_neuron(bare)[0].nodes == ("/dev/neuron0", "/dev/neuron2", "/dev/neuron10")


def test_driver_that_is_loaded_and_driver_that_is_installed(
    bare: Host, with_file: Callable[..., None], with_tool: Callable[..., str]
) -> None:
    with_file("sys/module/neuron/version", "2.27.4.0\n")
    with_tool("modinfo", '[ "$*" = "-F version neuron" ] && echo 2.29.0.0')
    neuron, _ = find_neuron(bare)
    assert (neuron.driver_loaded, neuron.driver_installed) == ("2.27.4.0", "2.29.0.0")


def test_no_driver(bare: Host, with_tool: Callable[..., str]) -> None:
    with_tool("modinfo", "echo 'modinfo: ERROR: Module neuron not found.' >&2; exit 1")
    neuron, _ = find_neuron(bare)
    assert (neuron.driver_loaded, neuron.driver_installed) == (None, None)


@pytest.mark.parametrize(
    ("manager", "words"),
    [
        ("dpkg-query", "--show --showformat ${Package} ${Version}\\n aws-neuronx-*"),
        ("rpm", "--query --all --queryformat %{NAME} %{VERSION}\\n aws-neuronx-*"),
    ],
)
def test_packages_of_the_operating_system(
    bare: Host, with_tool: Callable[..., str], manager: str, words: str
) -> None:
    printed = "aws-neuronx-runtime-lib 2.31.24.0-0b044f4ce\\naws-neuronx-dkms \\naws-neuronx-tools 2.29.22.0\\n"
    with_tool(manager, f"[ \"$*\" = '{words}' ] && printf '{printed}'")
    neuron, _ = find_neuron(bare)
    assert neuron.installed == {"aws-neuronx-runtime-lib": "2.31.24.0", "aws-neuronx-tools": "2.29.22.0"}
    assert neuron.runtime == "2.31.24.0"


def test_no_packages_of_the_operating_system(bare: Host, with_tool: Callable[..., str]) -> None:
    with_tool("dpkg-query", "echo 'dpkg-query: no packages found matching aws-neuronx-*' >&2; exit 1")
    neuron, _ = find_neuron(bare)
    assert (neuron.installed, neuron.runtime) == ({}, None)


@pytest.mark.parametrize(
    ("product", "listed", "expected"),
    [
        ("inf2.xlarge\n", None, "inf2.xlarge"),
        ("trn2u.48xlarge\n", "trn2.48xlarge", "trn2u.48xlarge"),
        ("u-6tb1.metal", None, "u-6tb1.metal"),
        ("20XW0026GE", None, None),
        ("Standard PC (Q35 + ICH9, 2009)", "trn1.2xlarge", "trn1.2xlarge"),
        (None, None, None),
    ],
)
def test_instance_type_is_that_of_the_firmware_where_it_is_one(
    bare: Host, with_file: Callable[..., None], product: str | None, listed: str | None, expected: str | None
) -> None:
    if product:
        with_file("sys/devices/virtual/dmi/id/product_name", product)
    assert find_instance_type(bare, listed, devices=False) == expected


def test_memory_is_what_the_container_may_use(bare: Host, with_file: Callable[..., None]) -> None:
    whole = find_machine(bare).memory
    with_file("sys/fs/cgroup/memory.max", "max\n")
    assert find_machine(bare).memory == whole
    with_file("sys/fs/cgroup/memory.max", "1048576\n")
    assert find_machine(bare).memory == 1048576


REPORT = {
    "neuron_runtime_data": [],
    "system_data": {"memory_info": {"period": 4.9, "memory_total_bytes": 2112847675392}},
    "instance_info": {
        "instance_name": "nightly",
        "instance_id": "i-0123456789abcdef0",
        "instance_type": "trn2.48xlarge",
        "instance_region": "us-east-2",
        "error": "",
    },
    "neuron_hardware_info": {
        "neuron_device_type": "trainium2",
        "neuroncore_version": "v3d",
        "neuron_device_count": 16,
        "neuroncore_per_device_count": 4,
        "logical_neuroncore_config": 2,
        "error": "",
    },
}
MONITOR = f"echo '{json.dumps(REPORT)}'; sleep 60"


@pytest.fixture
def metadata(bare: Host) -> Host:
    """The bare host with EC2's metadata service, which answers to its token alone."""

    def fetch(method: str, url: str, headers: Mapping[str, str]) -> str | None:
        if (method, url.rpartition("/")[2]) == ("PUT", "token"):
            return "secret" if headers == {"X-aws-ec2-metadata-token-ttl-seconds": "60"} else None
        return "inf2.8xlarge" if headers == {"X-aws-ec2-metadata-token": "secret"} else None

    return replace(bare, fetch=fetch)


def test_instance_type_is_that_of_the_first_who_knows(
    metadata: Host, with_tool: Callable[..., str], with_file: Callable[..., None]
) -> None:
    def found(devices: bool = True, listed: str | None = None) -> str | None:
        return find_instance_type(metadata, listed, devices)

    assert (found(devices=False), found()) == (None, "inf2.8xlarge"), "nothing slow is asked without a device"
    with_tool("neuron-monitor", MONITOR)
    start = time.monotonic()
    assert found() == "trn2.48xlarge", "the tool does not end by itself"
    assert time.monotonic() - start < 5, "the tool does not end by itself"
    with_file("sys/devices/virtual/neuron_device/neuron0/neuron_core0/info/architecture/instance_type", "Trn1")
    assert found() == "trn1"
    assert found(listed="trn1.32xlarge") == "trn1.32xlarge"
    with_file("sys/devices/virtual/dmi/id/product_name", "trn1n.32xlarge")
    assert found(listed="trn1.32xlarge") == "trn1n.32xlarge"


@pytest.mark.parametrize("script", ["true", "exit 1", "echo no JSON", "echo '{}'", "echo '[]'", "sleep 60"])
def test_monitor_that_says_nothing_is_passed_over(metadata: Host, with_tool: Callable[..., str], script: str) -> None:
    with_tool("neuron-monitor", script)
    assert find_instance_type(replace(metadata, patience=0.5), None, devices=True) == "inf2.8xlarge"


def test_metadata_service_that_is_none_is_none() -> None:
    assert fetched("GET", "http://127.0.0.1:9/latest", {}) is None
