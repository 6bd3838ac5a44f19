"""In the torch-xla environment: the suite on `neuron`, with a stand-in for torch-neuronx behind its calls."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
import suites
from doubles import stand_on

from conformance.cases.outcome import Record, Stage, Status
from conformance.defects.frozen_fallback import FROZEN_FALLBACK

pytestmark = pytest.mark.xla
if find_spec("torch_xla") is None:
    pytest.skip("needs the torch-xla environment", allow_module_level=True)

MODELS = "test_model and b2"


@pytest.fixture
def on(suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """The suite, on a trn2."""
    stand_on(monkeypatch, suite.path, "trn2")
    return suite


def run(suite: pytest.Pytester, *options: str) -> list[Record]:
    suites.run(suite, "--target", "neuron", *options)
    return suites.records(suite)


def test_what_is_right_passes_whole_and_alone_and_says_what_made_it(on: pytest.Pytester) -> None:
    found = run(
        on,
        "-k",
        "test_model or test_isolated",
        "--settings",
        "none,lnc1,O1+weights-outside,dynamic-batch",
        "--workarounds",
        "slice",
    )
    wholes = [record for record in found if record.layer is None]
    assert {record.status for record in wholes} == {Status.PASS}, [(r.id, r.detail) for r in wholes]
    assert {tuple(record.column.settings) for record in wholes} == {
        (),
        ("lnc1",),
        ("O1", "weights-outside"),
        ("dynamic-batch",),
    }
    assert {record.id.partition("@")[2] for record in wholes} >= {
        "neuron/trn2/sdk-2.29.1+slice",
        "neuron/trn2/sdk-2.29.1/O1/weights-outside+slice",
    }
    assert wholes[0].environment["neuronx-cc"] == "2.24.8799.0"
    assert not wholes[0].emulated
    alone = [record for record in found if record.layer is not None]
    assert {record.status for record in alone if "dynamic-batch" not in record.column.settings} == {Status.PASS}


def test_split_is_wrong_behind_the_real_calls_and_right_with_workarounds(on: pytest.Pytester) -> None:
    found = {record.id: record for record in run(on, "-k", "two-halves")}
    assert len(found) == 5
    for id_, record in found.items():
        assert record.status == (Status.PASS if "+" in id_ else Status.WRONG), id_
    assert found["split-with-sizes:two-halves/b2/fp32@neuron/trn2/sdk-2.29.1"].defects == ["split-with-sizes"]


def test_operator_without_a_lowering_is_frozen_and_seen_with_other_inputs_than_those_of_the_trace(
    on: pytest.Pytester,
) -> None:
    found = run(on, "-k", "frozen-fallback")
    plain = [record for record in found if not record.column.workarounds]
    assert len(plain) == len(FROZEN_FALLBACK.minimal_cases)
    assert {(record.status, *record.defects) for record in plain} == {(Status.WRONG, "frozen-fallback")}
    assert {record.status for record in found if record.column.workarounds} == {Status.PASS}


def test_refusal_has_the_compilers_code_and_is_known(on: pytest.Pytester) -> None:
    (record,) = run(on, "-k", "sort-refused and sort/")
    assert (record.status, record.stage, record.signature) == (Status.ERROR, Stage.COMPILE, "NCC_EVRF029")
    assert record.defects == ["sort-refused"]
    assert "Operation sort is not supported" in str(record.detail)


@pytest.mark.parametrize(
    ("play", "status", "signature"),
    [("kill", Status.CRASH, "SIGKILL"), ("segfault", Status.CRASH, "SIGSEGV"), ("hang", Status.TIMEOUT, "15 s")],
)
def test_compiler_that_dies_or_hangs(
    on: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, play: str, status: Status, signature: str
) -> None:
    monkeypatch.setenv("NEURON_DOUBLE_COMPILER", play)
    (record,) = run(on, "-k", MODELS, "--case-timeout", "15" if play == "hang" else "100")
    assert (record.status, record.stage, record.signature) == (status, Stage.COMPILE, signature)


def test_what_was_compiled_is_not_compiled_again(on: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    right = ("-k", MODELS, "--workarounds", "slice")
    assert [record.status for record in run(on, *right)] == [Status.PASS]
    monkeypatch.setenv("NEURON_DOUBLE_COMPILER", "kill")
    assert [record.status for record in run(on, *right)] == [Status.PASS]
    changed = run(on, *right, "--settings", "O3")
    assert {record.status for record in changed if record.column.settings} == {Status.CRASH}, "other arguments"


def test_data_parallel_parts_the_batch(on: pytest.Pytester) -> None:
    found = {record.subject.batch: record for record in run(on, "-k", "test_model", "--settings", "data-parallel")}
    assert found[2].status == Status.PASS
    assert found[1].status == Status.UNSUPPORTED
    assert "cannot be parted evenly" in str(found[1].detail)


def test_compile_only_needs_no_device_and_claims_nothing(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_on(monkeypatch, suite.path, None)
    result = suites.run(suite, "--target", "neuron", "-k", MODELS, "--hardware", "inf2")
    result.stdout.fnmatch_lines(["*a NeuronCore is needed: there is no /dev/neuron*; --compile-only needs none*"])
    assert not (suite.path / "records").exists(), "it was not tested"
    found = run(suite, "-k", f"({MODELS}) or sort-refused", "--hardware", "inf2", "--compile-only")
    model = next(record for record in found if record.subject.task)
    assert model.id.endswith("@neuron/inf2/sdk-2.29.1/compile-only")
    assert (model.status, model.stage) == (Status.NOT_RUN, Stage.COMPILE)
    refused = {record.signature for record in found if not record.subject.task}
    assert refused == {"NCC_EVRF029"}, "the compiler's own errors are seen"
