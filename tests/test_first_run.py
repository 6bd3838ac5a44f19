"""The first run of a stranger on a Neuron host: what goes wrong there, as the stand-ins have it, comes out right."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest
import suites
from doubles import stand_on

from conformance.cases.outcome import Record, Stage, Status

pytestmark = [pytest.mark.xla, pytest.mark.first_run]
if find_spec("torch_xla") is None:
    pytest.skip("needs the torch-xla environment", allow_module_level=True)


@pytest.fixture
def on(suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """The suite, on a trn2."""
    stand_on(monkeypatch, suite.path, "trn2")
    return suite


def run(suite: pytest.Pytester, *options: str) -> list[Record]:
    suites.run(suite, "--target", "neuron", "--workarounds", "slice", *options)
    commands = (" ".join(one.info["cmdline"] or ()) for one in psutil.process_iter(["cmdline"]))
    assert not [command for command in commands if str(suite.path) in command], "nothing is left behind"
    return suites.records(suite)


def test_two_workers_start_the_runtime_one_after_another(
    on: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEURON_DOUBLE", "busy-start")
    found = run(on, "-k", "test_model", "-n", "2")
    assert [(record.status, record.detail) for record in found] == [(Status.PASS, None)] * 2


@pytest.mark.parametrize("trouble", ["pjrt", "cannot", "sigabrt", "console"])
def test_core_that_cannot_be_had_at_first_is_asked_for_again(
    on: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    monkeypatch.setenv("NEURON_DOUBLE", trouble)
    (record,) = run(on, "-k", "test_model and b2")
    assert (record.status, record.detail) == (Status.PASS, None)


def test_core_that_stays_busy_after_its_process_is_waited_for(
    on: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEURON_DOUBLE", "slow-release")
    found = run(on, "-k", "test_model and b2", "--settings", "none,lnc1")
    assert [(record.status, record.detail) for record in found] == [(Status.PASS, None)] * 2


def test_host_that_gives_no_core_makes_no_record(on: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEURON_DOUBLE", "never")
    result = suites.run(on, *suites.impatient(on), "--target", "neuron", "-k", "test_model and b2")
    result.stdout.fnmatch_lines(["*cannot be run: the runtime gets no NeuronCore*another program holds it*"])
    assert not list((on.path / "records").glob("*.jsonl"))


def test_failed_compile_keeps_what_a_report_needs_and_leaves_nothing_else(
    on: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEURON_DOUBLE", "litter")
    suites.run(on, "--target", "neuron", "-k", "sort-refused and sort/")
    (record,) = suites.records(on)
    assert (record.status, record.stage, record.signature) == (Status.ERROR, Stage.COMPILE, "NCC_EVRF029")
    kept = {path.name for path in Path(str(record.evidence)).rglob("*") if path.is_file()}
    assert kept >= {"graph.hlo", "log-neuron-cc.txt", "printed.txt", "made-with.json"}
    assert not (on.path / "all_metrics.csv").exists(), "the compiler was started in a folder of its own"
