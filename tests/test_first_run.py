"""The first run of a stranger on a Neuron host: what goes wrong there, as the stand-ins have it, comes out right."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest
import suites
from doubles import HERE, stand_on

from conformance.cases.outcome import Record, Stage, Status

pytestmark = [pytest.mark.xla, pytest.mark.first_run]
if find_spec("torch_xla") is None:
    pytest.skip("needs the torch-xla environment", allow_module_level=True)


Ending = tuple[Status, Stage, str | None]
RIGHT: set[Ending] = {(Status.PASS, Stage.COMPARE, None)}
BOTH = ("--settings", "none,lnc1")  # logical cores of two physical ones, and of one
TROUBLES: dict[str, tuple[dict[str, str], tuple[str, ...], set[Ending]]] = {
    "two starts at once find the cores busy, and the compiler leaves files where it is started": (
        {"NEURON_DOUBLE": "busy-start,litter"},
        (),
        RIGHT,
    ),
    "a core stays busy after its process, and cores have other numbers": (
        {"NEURON_DOUBLE": "slow-release"},
        BOTH,
        RIGHT,
    ),
    "no core at first, in the words of PJRT, of torch-neuronx, with an abort, and on the console alone": (
        {"NEURON_DOUBLE": "pjrt,cannot,sigabrt,console"},
        (),
        RIGHT,
    ),
    "a device has one kind of logical cores at a time": ({"NEURON_DOUBLE": "lnc-clash"}, BOTH, RIGHT),
    "the compiler dies of the program with all layers tapped": ({"NEURON_DOUBLE": "tapped"}, (), RIGHT),
    "a pass of the compiler is killed": (
        {"NEURON_DOUBLE_COMPILER": "F137,F134"},
        (),
        {(Status.CRASH, Stage.COMPILE, "SIGKILL"), (Status.CRASH, Stage.COMPILE, "SIGABRT")},
    ),
    "a pass of the compiler crashes, and it refuses with a code of two letters": (
        {"NEURON_DOUBLE_COMPILER": "F139,DR101"},
        (),
        {(Status.CRASH, Stage.COMPILE, "SIGSEGV"), (Status.ERROR, Stage.COMPILE, "DR101")},
    ),
    "it refuses with codes of three and of five letters": (
        {"NEURON_DOUBLE_COMPILER": "CTR101,NCC_ABCDE101"},
        (),
        {(Status.ERROR, Stage.COMPILE, "CTR101"), (Status.ERROR, Stage.COMPILE, "NCC_ABCDE101")},
    ),
}
# Those that are tried each time; the others with `make test-xla-slow`.
OFTEN = (
    "a core stays busy after its process, and cores have other numbers",
    "no core at first, in the words of PJRT, of torch-neuronx, with an abort, and on the console alone",
    "a pass of the compiler is killed",
)


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


@pytest.mark.parametrize(
    "trouble", [one if one in OFTEN else pytest.param(one, marks=pytest.mark.slow) for one in TROUBLES]
)
def test_small_profile_comes_out_right(on: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, trouble: str) -> None:
    variables, options, expected = TROUBLES[trouble]
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("CONFORMANCE_CACHE", str(on.path / "cache"))  # nothing is compiled yet
    found = run(on, "-k", "test_model", "-n", "2", *options)
    assert len(found) == (4 if options else 2)
    assert {(record.status, record.stage, record.signature) for record in found} == expected
    assert not [record.id for record in found if record.status is Status.PASS and record.detail]


def test_program_of_awss_that_is_missing_is_named_before_anything_runs(
    on: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tools := on.path / "tools").mkdir()
    for name in ("neuronx-cc", "neuron-ls"):
        (tools / name).symlink_to(HERE / "neuron_double" / "bin" / name)
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    result = suites.run(on, "--target", "neuron", "-k", "test_model")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "there is no libneuronpjrt-path: install neuronx-cc and libneuronxla again" in result.stderr.str()


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
