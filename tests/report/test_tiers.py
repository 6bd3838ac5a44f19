"""A failure is put down to the tier that shows it first, and to what is known of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from conformance.cases.outcome import Record, Stage, Status
from conformance.commands.cli import app
from conformance.defects.error_codes import error_code_source, error_codes
from conformance.report.attribution import first_tiers
from conformance.report.failure import known
from conformance.results.records import RecordWriter

ERROR = {"status": Status.ERROR, "stage": Stage.COMPILE, "signature": "NCC_EVRF009", "groups": {}, "layers": []}


def device(make: Callable[..., Record], **changes: Any) -> Record:
    return make(changes.pop("status", Status.WRONG), target="neuron", hardware="inf2", sdk="2.29.1", **changes)


@pytest.mark.parametrize(
    ("front", "failure", "tier"),
    [
        (Status.WRONG, {}, "the front end: xla is wrong in compare, too"),
        (Status.PASS, {}, "the compiler or the device: xla passes"),
        (Status.PASS, ERROR, "the compiler: xla passes"),
        (None, {}, "not known: there is no record on xla"),
    ],
)
def test_tier_is_told_by_the_other_tiers_records(
    make: Callable[..., Record], front: Status | None, failure: dict[str, Any], tier: str
) -> None:
    records = [device(make, **failure), make(target="openvino")]
    records += [make(front)] if front else []
    assert first_tiers(records)[records[0].id] == tier


def test_what_all_independent_compilers_fail_is_the_models(make: Callable[..., Record]) -> None:
    both = [make(Status.WRONG, target=target) for target in ("openvino", "onnxruntime")]
    xla = make(Status.WRONG)
    assert first_tiers([xla, *both])[xla.id] == "the model or its export: onnxruntime and openvino fail, too"
    assert first_tiers([xla, both[0], make(target="onnxruntime")])[xla.id] == "the front end"
    assert first_tiers([xla, both[0]])[xla.id] == "the model or its export: openvino fails, too"


def test_compilers_that_fail_alike_point_at_what_they_share(
    make: Callable[..., Record], make_wrong: Callable[..., Record]
) -> None:
    """As nearest resizing does: decomposed by torch.export, wrong by 49 % on inductor and ONNX Runtime, right on
    OpenVINO and torch-xla, which lower it themselves (pytorch #198201)."""
    inductor, onnx = (make_wrong(target=target) for target in ("inductor", "onnxruntime"))
    right = [make(target="openvino"), make()]
    found = first_tiers([inductor, onnx, *right])
    said = (
        "what they have in common (torch.export and its decompositions): inductor and onnxruntime fail alike; "
        "openvino and xla pass"
    )
    assert found == {inductor.id: said, onnx.id: said}
    worse = {name: group.model_copy(update={"rel_l2": 0.25}) for name, group in onnx.groups.items()}
    apart = first_tiers([inductor, onnx.model_copy(update={"groups": worse}), *right])
    assert apart == {inductor.id: "inductor: openvino and xla pass", onnx.id: "onnxruntime: openvino and xla pass"}


def test_compiler_that_fails_alone_is_named(make: Callable[..., Record]) -> None:
    alone = make(Status.WRONG, target="openvino")
    assert first_tiers([alone, make(target="inductor")]) == {alone.id: "openvino: inductor passes"}
    assert first_tiers([alone]) == {alone.id: "not known: there is no record of another compiler"}
    crash = {"stage": Stage.COMPILE, "signature": "SIGSEGV", "groups": {}, "layers": []}
    other = make(Status.CRASH, target="inductor", **crash)
    assert first_tiers([alone, other])[alone.id] == "not known: inductor fails in another way"


def test_other_programs_and_what_is_played_tell_nothing(make: Callable[..., Record]) -> None:
    failure = device(make)
    others = [
        make(Status.WRONG, workarounds=["slice"]),
        make(Status.WRONG, batch=4),
        make(Status.WRONG, target="emulator"),
        make(Status.UNSUPPORTED),
    ]
    found = first_tiers([failure, *others])
    assert found[failure.id] == "not known: there is no record on xla"
    assert others[2].id not in found
    assert make().id not in first_tiers([make()])


def test_code_of_the_compiler_is_explained(make: Callable[..., Record]) -> None:
    text = "\n".join(known(device(make, **ERROR, defects=[])))
    assert "NCC_EVRF009: weights and activations do not fit into the device's memory (HBM); use a smaller" in text
    assert "https://github.com/aws-neuron/aws-neuron-sdk/blob/81ce03ae/compiler/error-codes/EVRF009.rst" in text
    other = device(make, **{**ERROR, "signature": "NCC_EXXX999"}, defects=[])
    assert list(known(other)) == ["  unknown: no defect of the catalogue explains it"]
    said = "\n".join(known(device(make, **ERROR, defects=["split-with-sizes"])))
    assert "  known: " in said
    assert "(evidence: reproduced); use slice, tensor_split" in said
    assert not list(known(make()))


def test_every_code_is_explained_once_and_has_a_source() -> None:
    found = error_codes()
    assert len(found) == 84
    assert all(code.startswith("NCC_") for code in found)
    assert all(error_code_source(code).startswith("https://github.com/aws-neuron/") for code in found)
    assert error_code_source("NCC_INLA001").endswith("release-notes/components/compiler.rst")


def test_command_says_what_is_known_and_where_it_comes_in(make: Callable[..., Record], tmp_path: Path) -> None:
    writer = RecordWriter(tmp_path / "a.jsonl")
    failure = device(make, **ERROR, defects=[])
    for one in (failure, make()):
        writer.write(one)
    done = CliRunner().invoke(app, ["explain", failure.id, "--records", str(tmp_path)])
    assert done.exit_code == 0
    for words in (
        f"{failure.id}: error in compile (NCC_EVRF009)",
        "  NCC_EVRF009: weights",
        "with: the compiler: xla",
    ):
        assert words in done.output
    done = CliRunner().invoke(app, ["explain", "yolo26n*", "--records", str(tmp_path)])
    assert done.output.count("yolo26n-detect/b2") >= 2
    done = CliRunner().invoke(app, ["explain", "yolo27n", "--records", str(tmp_path)])
    assert done.exit_code == 2
    assert done.output.startswith("error: no record of 'yolo27n'; the nearest is 'yolo26n")
