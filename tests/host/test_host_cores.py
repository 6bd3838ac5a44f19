from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from conformance.core.errors import UserError
from conformance.host.cores import find_cores
from conformance.host.probe import Host


@pytest.fixture
def trn2(
    bare: Host, with_tool: Callable[..., str], with_file: Callable[..., None], listing: Callable[[str], str]
) -> Host:
    with_tool("neuron-ls", listing("trn2.3xlarge"))
    with_file("dev/neuron0")
    with_file("sys/devices/virtual/dmi/id/product_name", "trn2.3xlarge")
    return bare


def test_all_logical_cores_are_there_unless_the_environment_hides_some(trn2: Host) -> None:
    found = find_cores(trn2)
    assert (found.family, found.indices, found.lnc, found.trouble) == ("trn2", (0, 1, 2, 3), 2, None)

    def indices(**environ: str) -> tuple[int, ...]:
        return find_cores(replace(trn2, environ=environ)).indices

    assert indices(NEURON_RT_VISIBLE_CORES="1-2") == (1, 2)
    assert indices(NEURON_RT_VISIBLE_CORES="0,3", NEURON_RT_NUM_CORES="1") == (0, 3), "the list wins"
    assert indices(NEURON_RT_NUM_CORES="2") == (0, 1)
    assert indices(NEURON_RT_NUM_CORES="0") == (0, 1, 2, 3), "0 is all"


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"NEURON_RT_VISIBLE_CORES": "one"}, "NEURON_RT_VISIBLE_CORES=one is no list of cores, such as 0 or 0-3"),
        ({"NEURON_LOGICAL_NC_CONFIG": "3"}, "NEURON_LOGICAL_NC_CONFIG=3: .*, 1 or 2"),
    ],
)
def test_variable_that_cannot_be(trn2: Host, environ: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        find_cores(replace(trn2, environ=environ))


def test_environment_says_what_a_logical_core_is(trn2: Host) -> None:
    assert find_cores(replace(trn2, environ={"NEURON_LOGICAL_NC_CONFIG": "1"})).lnc == 1


def test_family_is_in_sysfs_where_the_firmware_does_not_say(
    bare: Host, with_tool: Callable[..., str], with_file: Callable[..., None], listing: Callable[[str], str]
) -> None:
    with_tool("neuron-ls", listing("inf2.24xlarge"))
    with_file("dev/neuron0")
    path = "sys/devices/virtual/neuron_device/neuron0/neuron_core0/info/architecture/instance_type"
    assert find_cores(bare).trouble == "nothing says what instance this is, and so what to compile for"
    with_file(path, "Inf2")
    assert (find_cores(bare).family, find_cores(bare).trouble) == ("inf2", None)


def test_why_there_are_none(bare: Host, with_file: Callable[..., None]) -> None:
    trouble = find_cores(bare).trouble
    assert trouble is not None
    assert "there is no /dev/neuron*" in trouble
    with_file("dev/neuron0")
    trouble = find_cores(bare).trouble
    assert trouble is not None
    assert "install aws-neuronx-tools" in trouble
    assert find_cores(bare).indices == ()
