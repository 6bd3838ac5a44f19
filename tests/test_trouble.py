"""A trouble of the host is told from a failure of what was to run: by its words, and by what is installed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from conformance.host.trouble import no_core
from conformance.targets import neuron_host
from conformance.targets.neuron_host import missing_programs, other_torch

pytestmark = pytest.mark.first_run


@pytest.mark.parametrize(
    "said",
    [
        "The PyTorch Neuron Runtime could not be initialized. Neuron Driver issues are logged to your system logs.",
        "RuntimeError: Neuron runtime cannot be initialized; cannot determine the number of available NeuronCores",
        "Bad StatusOr access: INVALID_ARGUMENT: PJRT_Client_Create: error condition nullptr != (args)->client"
        "->Error(): Init: error condition !(num_devices > 0)",
        "2026-Nov-28 ERROR  TDRV:nrt_allocate_neuron_cores   NeuronCore(s) not available - Requested:1 Available:0",
        "NRT: NeuronCores busy, ret=-16",
        "PJRT_Client_Create begins" + "\nand much is said" * 40 + "\nPJRT_Client_Create: !(num_devices > 0)",
    ],
)
def test_words_of_a_core_that_cannot_be_had(said: str) -> None:
    assert no_core(f"a line before\n{said}\na line behind")


@pytest.mark.parametrize(
    "said",
    [
        "NCC_EVRF029: Operation sort is not supported",
        "PJRT_Client_Create succeeded" + " and much was said" * 40 + " of num_devices > 0",
        "the loader is busy",
        "second5 of the queue is busy",
        "Neuron runtime initialized",
        "",
    ],
)
def test_words_of_anything_else(said: str) -> None:
    assert not no_core(said)


def test_torch_of_another_line_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neuron_host, "installed_version", lambda name: "2.14.0+cpu")
    assert str(other_torch("2.9.0.2.13.26312+8e87")).startswith(
        "torch-neuronx 2.9.0.2.13.26312+8e87 needs torch 2.9, and 2.14.0+cpu is installed: install AWS's again"
    )
    monkeypatch.setattr(neuron_host, "installed_version", lambda name: "2.9.1")
    assert other_torch("2.9.0.2.13.26312") is None


def test_programs_are_found_in_an_environment_that_is_not_active(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "elsewhere"))
    assert missing_programs("a", "b") == "there is no a and no b: install neuronx-cc and libneuronxla again"
    for name in ("a", "b"):
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin" / name).touch(mode=0o755)
    assert missing_programs("a", "b") is None
