from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from conformance.commands.doctor import examine, exit_code, facts_json
from conformance.core.errors import UserError
from conformance.host.probe import Host

if TYPE_CHECKING:
    from host.conftest import Part


@pytest.fixture
def trainium(
    bare: Host, with_tool: Callable[..., str], with_file: Callable[..., None], listing: Callable[[str], str]
) -> Host:
    """A trn2.3xlarge with SDK 2.29.1 in its environment."""
    versions = {"neuronx-cc": "2.24.8799.0+6f62ff7c", "torch-neuronx": "2.9.0.2.13.26312+8e870898"}
    with_tool("neuron-ls", listing("trn2.3xlarge"))
    with_file("dev/neuron0")
    with_file("sys/module/neuron/version", "2.27.4.0")
    return replace(bare, version=versions.get, environ={"NEURON_RT_VISIBLE_CORES": "0-1", "HOME": "/root"})


def test_report_of_a_trainium(
    trainium: Host, registered: Callable[..., None], ready: Part, report: Callable[..., tuple[int, str]]
) -> None:
    registered({"neuron": ready}, {"yolo26": ready})
    code, text = report(examine(trainium))
    assert code == 0
    for line in (
        "  instance            trn2.3xlarge",
        "  variable            NEURON_RT_VISIBLE_CORES=0-1",
        "  NeuronCore          v3",
        "  devices             1, 4 logical NeuronCores (8 physical), 96 GiB",
        "  driver              2.27.4.0",
        "  SDK release         2.29.1, or a patch of it with the same neuronx-cc and torch-neuronx",
        "  torch-neuronx       2.9.0.2.13.26312+8e870898 (traces with torch-xla)",
        "  neuron              ready",
        "1 of 1 target ready, 1 of 1 system ready",
    ):
        assert line in text.splitlines()
    assert "held by process 4711 (python train.py --epochs 3) and 1 more" in text
    assert "HOME" not in text


def test_devices_that_are_alike_are_one_line(
    bare: Host,
    with_tool: Callable[..., str],
    listing: Callable[[str], str],
    registered: Callable[..., None],
    ready: Part,
    report: Callable[..., tuple[int, str]],
) -> None:
    registered({"neuron": ready}, {"yolo26": ready})
    with_tool("neuron-ls", listing("inf2.24xlarge"))
    _, text = report(examine(bare))
    assert "  devices             2, each with 2 NeuronCores, 32 GiB\n" in text
    assert "held by" not in text


def test_an_unreleased_combination_says_which_is_which(
    with_packages: Callable[..., Host],
    registered: Callable[..., None],
    ready: Part,
    report: Callable[..., tuple[int, str]],
) -> None:
    registered({}, {"yolo26": ready})
    host = with_packages({"neuronx-cc": "2.24.8799.0", "torch-neuronx": "2.9.0.2.15.32035"})
    _, text = report(examine(host))
    assert "unreleased combination, closest: 2.29.1 (neuronx-cc 2.29.1, torch-neuronx 2.31.0)\n" in text


def test_one_unknown_version_is_no_combination(
    with_packages: Callable[..., Host],
    registered: Callable[..., None],
    ready: Part,
    report: Callable[..., tuple[int, str]],
) -> None:
    registered({}, {"yolo26": ready})
    _, text = report(examine(with_packages({"neuronx-cc": "2.24.8800.0"})))
    assert "  SDK release         no known release, closest: 2.29.1 (neuronx-cc of none that is known)\n" in text


def test_devices_whose_cores_are_not_known(
    bare: Host,
    with_file: Callable[..., None],
    registered: Callable[..., None],
    ready: Part,
    report: Callable[..., tuple[int, str]],
) -> None:
    registered({}, {"yolo26": ready})
    with_file("dev/neuron0")
    with_file("dev/neuron1")
    assert "  devices             2 (/dev/neuron0, /dev/neuron1), cores not known\n" in report(examine(bare))[1]


def test_a_tool_that_fails_is_a_line_of_the_report(
    bare: Host,
    with_tool: Callable[..., str],
    registered: Callable[..., None],
    ready: Part,
    report: Callable[..., tuple[int, str]],
) -> None:
    registered({"emulator": ready}, {"yolo26": ready})
    with_tool("neuron-ls", "echo no driver >&2; exit 3")
    code, text = report(examine(bare))
    assert "  neuron-ls           exited with 3: no driver\n" in text
    assert text.count("no driver") == 1
    assert code == 0


def test_what_is_missing_is_said_with_the_command_in_one_piece(
    bare: Host, registered: Callable[..., None], ready: Part, lacking: Part, report: Callable[..., tuple[int, str]]
) -> None:
    registered({"emulator": ready, "xla": lacking}, {"yolo26": ready})
    for terminal in (False, True):
        code, text = report(examine(bare), terminal=terminal, width=40)
        assert "  xla                 needs torch_xla: pip install 'neuron-conformance[xla]'\n" in text
        assert "1 of 2 targets ready, 1 of 1 system ready\n" in text
        assert code == 0


def test_nothing_usable_is_exit_code_1(
    bare: Host, registered: Callable[..., None], ready: Part, lacking: Part, report: Callable[..., tuple[int, str]]
) -> None:
    for targets, systems in (({"xla": lacking}, {"y": ready}), ({"e": ready}, {"y": lacking}), ({}, {"y": ready})):
        registered(targets, systems)
        facts = examine(bare)
        code, text = report(facts)
        assert (code, exit_code(facts)) == (1, 1)
        assert "Nothing can be run here" in text


def test_a_target_that_breaks_is_one_line(
    bare: Host, registered: Callable[..., None], ready: Part, report: Callable[..., tuple[int, str]]
) -> None:
    broken = {"mine": ImportError("no module\nnamed x"), "other": UserError("cannot load target 'other': gone")}
    registered({"emulator": ready, **broken}, {"yolo26": ready})
    code, text = report(examine(bare))
    assert code == 0
    assert "  mine                cannot be loaded: ImportError: no module named x\n" in text
    assert "  other               cannot load target 'other': gone\n" in text


def test_what_is_emulated_is_called_that(
    bare: Host, registered: Callable[..., None], ready: Part, report: Callable[..., tuple[int, str]]
) -> None:
    ready.emulated = True
    registered({"emulator": ready}, {"yolo26": ready})
    assert "  emulator            ready, emulated\n" in report(examine(bare))[1]


def test_a_pipe_gets_plain_text_and_whole_lines(
    trainium: Host, registered: Callable[..., None], ready: Part, report: Callable[..., tuple[int, str]]
) -> None:
    registered({"neuron": ready}, {"yolo26": ready})
    _, text = report(examine(trainium), width=30)
    assert "\x1b" not in text
    assert not any(line.endswith(" ") for line in text.splitlines())
    assert any("and 1 more; they cannot be used until released." in line for line in text.splitlines())


def test_json_has_facts_advice_and_verdict(
    trainium: Host, registered: Callable[..., None], ready: Part, lacking: Part
) -> None:
    registered({"neuron": ready, "xla": lacking}, {"yolo26": ready})
    data = json.loads(facts_json(examine(trainium)))
    assert data["neuron"]["devices"][0]["physical_cores"] == 8
    assert data["packages"]["sdk"]["release"] == "2.29.1"
    assert data["packages"]["torch_neuronx"] == "xla"
    assert [target["missing"] is None for target in data["targets"]] == [True, False]
    assert "4711" in data["advice"][0]["text"]
    assert data["usable"] is True


@pytest.mark.parametrize("call", ["", "doctor.facts_json(doctor.examine())"])
def test_neither_import_nor_examination_loads_torch(call: str) -> None:
    code = f"from conformance.commands import doctor\nimport sys\n{call}\nassert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
