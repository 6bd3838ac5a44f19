"""The suite on `neuron-native`, with a stand-in for TorchNeuron behind its calls."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from unittest.mock import ANY

import pytest
import suites
from doubles import stand_on

from conformance.cases.outcome import Record, Stage, Status

MODELS = "test_model and b2"


@pytest.fixture
def on(suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """The suite, on a trn2."""
    stand_on(monkeypatch, suite.path, "trn2", "native_double")
    return suite


def run(suite: pytest.Pytester, *options: str) -> list[Record]:
    suites.run(suite, "--target", "neuron-native", *options)
    return suites.records(suite)


def test_what_is_right_passes_and_has_its_release(on: pytest.Pytester) -> None:
    found = run(on, "-k", MODELS, "--settings", "none,eager")
    assert {record.id.partition("@")[2]: record.status for record in found} == {
        "neuron-native/trn2/sdk-2.33.0": Status.PASS,
        "neuron-native/trn2/sdk-2.33.0/eager": Status.PASS,
    }, [(record.id, record.detail) for record in found]
    kept = Path(os.environ["CONFORMANCE_CACHE"]) / "neff"
    assert len(list(kept.iterdir())) == 1, "what TorchNeuron compiled is kept, by package versions"
    recorded = {"instance": "trn2.3xlarge", "aws-neuronx-dkms": "2.27.4.0", "torch-neuronx": "2.13.3.0"}
    assert recorded.items() <= found[0].environment.items()


def test_operator_on_the_cpu_is_no_pass_however_right_the_numbers(
    on: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEURON_DOUBLE_FALLBACK", "sigmoid")
    (record,) = run(on, "-k", MODELS)
    assert (record.status, record.stage) == (Status.FALLBACK, Stage.RUN)
    assert record.failed
    assert str(record.detail).startswith("computed on the CPU instead: aten::sigmoid (")


def test_refusal_has_the_compilers_code(on: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEURON_DOUBLE_REFUSE", "sigmoid")
    (record,) = run(on, "-k", MODELS)
    assert (record.status, record.stage, record.signature) == (Status.ERROR, Stage.COMPILE, "NCC_EVRF029")


@pytest.mark.slow
def test_one_core_is_enough_for_models_and_programs(on: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEURON_RT_VISIBLE_CORES", "0")
    result = suites.run(on, "--target", "neuron-native", "-k", f"({MODELS}) or test_programs")
    result.assert_outcomes(passed=2, deselected=ANY)


def test_core_that_another_program_holds_is_no_failure_of_the_model(
    on: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEURON_RT_VISIBLE_CORES", "1")
    with (on.path / "trn2/dev/core1").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        result = suites.run(on, *suites.impatient(on), "--target", "neuron-native", "-k", MODELS)
    result.stdout.fnmatch_lines(["cannot be run: the runtime gets no NeuronCore 1: another program holds it *"])
    assert not (on.path / "records").exists(), "it was not tested"


def test_the_two_packages_of_one_name_are_told_apart(on: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    suites.run(on, "--target", "neuron").stderr.fnmatch_lines(
        ["*neuron needs the torch-neuronx that traces, 2.9 or older; 2.13.3.0 is installed"]
    )
    stand_on(monkeypatch, on.path, "trn2")
    suites.run(on, "--target", "neuron-native").stderr.fnmatch_lines(
        ["*neuron-native needs torch-neuronx 2.13 or newer; 2.9.0.2.13.26312+8e870898 is the one that traces*"]
    )
