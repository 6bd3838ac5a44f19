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


Ending = tuple[Status, Stage, str | None]
RIGHT: set[Ending] = {(Status.PASS, Stage.COMPARE, None)}
BOTH = ("--settings", "none,lnc1")  # logical cores of two physical ones, and of one
TROUBLES: dict[str, tuple[dict[str, str], tuple[str, ...], set[Ending]]] = {
    "two starts at once find the cores busy": ({"NEURON_DOUBLE": "busy-start"}, (), RIGHT),
    "a core stays busy after its process": ({"NEURON_DOUBLE": "slow-release"}, BOTH, RIGHT),
    "no core at first, in the words of PJRT": ({"NEURON_DOUBLE": "pjrt"}, (), RIGHT),
    "no core at first, in other words": ({"NEURON_DOUBLE": "cannot"}, (), RIGHT),
    "no core at first, and the process is aborted": ({"NEURON_DOUBLE": "sigabrt"}, (), RIGHT),
    "no core at first, and only the console says so": ({"NEURON_DOUBLE": "console"}, (), RIGHT),
    "numbers of cores depend on the logical ones": ({}, BOTH, RIGHT),
    "a device has one kind of logical cores at a time": ({"NEURON_DOUBLE": "lnc-clash"}, BOTH, RIGHT),
    "the compiler leaves files where it is started": ({"NEURON_DOUBLE": "litter"}, (), RIGHT),
    "the compiler dies of the program with all layers tapped": ({"NEURON_DOUBLE": "tapped"}, (), RIGHT),
    **{
        f"a pass of the compiler is killed, {code}": (
            {"NEURON_DOUBLE_COMPILER": code},
            (),
            {(Status.CRASH, Stage.COMPILE, signal)},
        )
        for code, signal in {"F134": "SIGABRT", "F137": "SIGKILL", "F139": "SIGSEGV"}.items()
    },
    **{
        f"the compiler refuses it with {code}": (
            {"NEURON_DOUBLE_COMPILER": code},
            (),
            {(Status.ERROR, Stage.COMPILE, code)},
        )
        for code in ("DR101", "CTR101", "NCC_ABCDE101")
    },
}


@pytest.fixture
def on(suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """The suite, on a trn2."""
    stand_on(monkeypatch, suite.path, "trn2")
    return suite


def run(suite: pytest.Pytester, *options: str) -> list[Record]:
    suites.run(suite, "--target", "neuron", "--workarounds", "slice", *options)
    commands = (" ".join(one.info["cmdline"] or ()) for one in psutil.process_iter(["cmdline"]))
    assert not [command for command in commands if str(suite.path) in command], "nothing is left behind"
    assert not (suite.path / "all_metrics.csv").exists(), "the compiler was started in a folder of its own"
    return suites.records(suite)


@pytest.mark.parametrize("trouble", TROUBLES)
def test_small_profile_comes_out_right(on: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, trouble: str) -> None:
    variables, options, expected = TROUBLES[trouble]
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("CONFORMANCE_CACHE", str(on.path / "cache"))  # nothing is compiled yet
    found = run(on, "-k", "test_model", "-n", "2", *options)
    assert len(found) == (4 if options else 2)
    assert {(record.status, record.stage, record.signature) for record in found} == expected
    assert not [record.id for record in found if record.status is Status.PASS and record.detail]


def test_host_that_gives_no_core_makes_no_record(on: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEURON_DOUBLE", "never")
    result = suites.run(on, *suites.impatient(on), "--target", "neuron", "-k", "test_model and b2")
    result.stdout.fnmatch_lines(["*cannot be run: the runtime gets no NeuronCore*another program holds it*"])
    assert not list((on.path / "records").glob("*.jsonl"))


def test_failed_compile_keeps_what_a_report_needs(on: pytest.Pytester) -> None:
    suites.run(on, "--target", "neuron", "-k", "sort-refused and sort/")
    (record,) = suites.records(on)
    assert (record.status, record.stage, record.signature) == (Status.ERROR, Stage.COMPILE, "NCC_EVRF029")
    kept = {path.name for path in Path(str(record.evidence)).rglob("*") if path.is_file()}
    assert kept >= {"graph.hlo", "log-neuron-cc.txt", "printed.txt", "made-with.json"}


def test_record_has_what_neuron_monitor_counts(on: pytest.Pytester) -> None:
    first, second = run(on, "-k", "test_model")
    assert first.executions == second.executions
    assert first.executions["completed"] >= 4, "a program is called four times"


def test_program_of_which_no_execution_is_counted_has_a_note(
    on: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEURON_DOUBLE", "uncounted")
    (record,) = run(on, "-k", "test_model and b2")
    assert (record.executions, record.notes) == (
        {},
        ["neuron-monitor has counted no execution of it on a NeuronCore"],
    )
