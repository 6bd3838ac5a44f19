"""One verdict for each thing that is judged, recorded once: pytest, the matrix, `diff` and `expect` read the same."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import suites
import torch
import toys
from cells import cell, changed
from operators_after import After
from torch import Tensor
from typer.testing import CliRunner

from conformance.cases.outcome import Aspect, Conditioning, Outcome, Stage, Status
from conformance.commands.cli import app
from conformance.programs.program import Program
from conformance.results.records import read_records
from conformance.running.child import Job
from conformance.running.comparison import ReferenceModel
from conformance.running.judgement import SAME
from conformance.running.pipeline import run_case
from conformance.running.worker import Worker
from conformance.systems.protocol import Model
from conformance.targets.protocol import Compiled, Options, Target


def judge(target: Target, system: str = "toys:Toy", dtype: str = "float32") -> Outcome:
    return run_case(changed(toys.CASE, dtype=dtype), system, target, lambda _: None)


# What converts a value before it is judged


class Waves(toys.Toy):
    """A model that gives complex numbers, whole numbers and yes or no."""

    def layers(self, variant: str, task: str) -> tuple[str, ...]:
        return ("stem",)

    def groups(self, variant: str, task: str) -> None:
        return None

    def build(self, variant: str, task: str) -> Model:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            made = After(lambda y: (torch.fft.rfft2(y), y.argmax(1), y > 0)).eval().requires_grad_(False)
        return Model(made, ("stem",), "waves")


def first(outputs: tuple[Tensor, ...], other: Any) -> tuple[Tensor, ...]:
    return (other, *outputs[1:])


def real_part(outputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return first(outputs, torch.complex(outputs[0].real, torch.zeros_like(outputs[0].real)))


def test_imaginary_part_counts() -> None:
    assert judge(toys.HEALTHY, "test_checks:Waves").status is Status.PASS
    outcome = judge(toys.Planted(real_part), "test_checks:Waves")
    assert outcome.status is Status.WRONG
    assert outcome.groups["output.0"].bad


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda outputs: first(outputs, outputs[0].real), "output 0 is float32 instead of complex64"),
        (lambda outputs: first(outputs, outputs[0] + torch.zeros(1, dtype=torch.double)), "output 0 is complex128 *"),
        (lambda outputs: (outputs[0], outputs[1].int(), *outputs[2:]), "output 1 is int32 instead of int64"),
        (lambda outputs: (outputs[0], outputs[1].float(), *outputs[2:]), "output 1 is float32 instead of int64"),
        (lambda outputs: (*outputs[:2], outputs[2].float(), *outputs[3:]), "output 2 is float32 instead of bool"),
        (lambda outputs: first(outputs, outputs[0].numpy()), "output 0 is a ndarray instead of a tensor"),
        (lambda outputs: first(outputs, None), "output 0 is a NoneType instead of a tensor"),
        (lambda outputs: first(outputs, outputs[0].to("meta")), "output 0 is on meta*"),
    ],
)  # fmt: skip
def test_output_of_another_kind_is_a_mismatch(change: toys.Change, said: str) -> None:
    outcome = judge(toys.Planted(change), "test_checks:Waves")
    assert outcome.status is Status.MISMATCH
    assert str(outcome.detail).startswith(said.rstrip("*"))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "matmult-bf16", "all-bf16"])
def test_output_of_another_dtype_is_a_mismatch_at_every_dtype(dtype: str) -> None:
    assert judge(toys.HEALTHY, dtype=dtype).status is Status.PASS
    wide = toys.Planted(lambda outputs: tuple(x.double() for x in outputs))
    outcome = judge(wide, dtype=dtype)
    assert outcome.status is Status.MISMATCH
    assert str(outcome.detail).startswith("output 0 is float64 instead of ")


# What cannot be judged


@pytest.fixture
def unsure(monkeypatch: pytest.MonkeyPatch) -> None:
    weak = {"bfloat16": Conditioning(layer="join", ratio=2.0, sufficient=False)}
    monkeypatch.setattr(ReferenceModel, "conditioning", lambda self, dtypes: weak)


SAME_FOR_ALL = toys.Planted(lambda outputs: tuple(torch.full_like(x, 0.3) for x in outputs))


@pytest.mark.usefixtures("unsure")
def test_what_is_further_away_than_another_image_is_wrong_in_a_network_that_cannot_be_judged() -> None:
    zeroed = toys.Planted(lambda outputs: tuple(torch.zeros_like(x) for x in outputs))
    for target in (zeroed, toys.ZEROED_SCORES):
        outcome = judge(target, dtype="bfloat16")
        assert outcome.status is Status.WRONG
        assert outcome.groups["scores"].bad
    nearer = judge(toys.ONE_PERCENT, dtype="bfloat16")
    assert nearer.status is Status.NOT_JUDGED
    assert not any(group.bad for group in nearer.groups.values())


@pytest.mark.usefixtures("unsure")
def test_answer_that_is_the_same_for_all_images_is_wrong_however_near_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where rounding goes as far as another image, an answer that is as far is none for it."""
    plain = ReferenceModel.comparison

    def far_apart(self: ReferenceModel, layer: str | None, workarounds: tuple[str, ...]) -> object:
        comparison = plain(self, layer, workarounds)
        far = {name: [1e9] * comparison.batch for name in comparison.compared.apart}
        comparison.compared, comparison.others = (
            replace(one, apart=far) for one in (comparison.compared, comparison.others)
        )
        return comparison

    monkeypatch.setattr(ReferenceModel, "comparison", far_apart)
    outcome = judge(SAME_FOR_ALL, dtype="bfloat16")
    assert (outcome.status, outcome.signature) == (Status.WRONG, SAME)
    assert outcome.detail == "boxes: the same answer for other images"
    assert judge(toys.HEALTHY, dtype="bfloat16").status is Status.NOT_JUDGED


# Layers that cannot be tapped


@dataclass(frozen=True)
class DiesTapped(toys.Planted):
    """Ends its process, or hangs, where it is to compile the program with all layers tapped."""

    hangs: bool = False

    def compile(self, program: Program, options: Options) -> Compiled:
        options.enter(Stage.COMPILE)
        if len(program.module(*program.inputs)) > 1:
            if self.hangs:
                time.sleep(600)
            ctypes.string_at(0)
        return super().compile(program, options)


CRASHES_TAPPED = DiesTapped(toys._edit(lambda y: y[:, 4:].zero_()))
HANGS_TAPPED = DiesTapped(hangs=True)


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    worker = Worker(threads=1, timeout=60)
    yield worker
    worker.close()


def test_tapped_program_that_crashes_costs_no_verdict(worker: Worker) -> None:
    outcome = worker.run(Job(toys.CASE, "toys:Toy", "test_checks:CRASHES_TAPPED"), {})
    assert (outcome.status, outcome.stage) == (Status.WRONG, Stage.COMPARE), "as it is without taps"
    assert outcome.groups["scores"].bad
    assert not outcome.groups["boxes"].bad
    check = outcome.checked(Aspect.IN_PLACE)
    assert check is not None
    assert check.status is Status.NOT_RUN
    assert check.detail == "with all layers tapped: crash in compile (SIGSEGV)"


def test_tapped_program_that_hangs_costs_no_verdict(worker: Worker) -> None:
    outcome = worker.run(Job(toys.CASE, "toys:Toy", "test_checks:HANGS_TAPPED"), {}, timeout=15)
    check = outcome.checked(Aspect.IN_PLACE)
    assert outcome.status is Status.PASS
    assert check is not None
    assert check.detail == "with all layers tapped: timeout in compile (15 s)"


# One verdict for all who read it

DETECTS = """
description = "A detector."
targets = ["toys:DAMPED_SCORES"]

[[models]]
system = "toydet"
variants = ["98k"]
tasks = ["detect"]
batches = [4]
resolutions = ["64x64"]
weights = ["shapes"]
"""
BLIND = toys.Planted(toys._edit(lambda y: y[:, 4:].mul_(1 - 1e-7)))


class Loses(toys.Planted):
    """Right for the calls that are compared; then it loses what scores most."""

    def compile(self, program: Program, options: Options) -> Compiled:
        calls = iter(range(10**6))

        def run(*inputs: Tensor) -> tuple[Tensor, ...]:
            outputs = program.module(*inputs)
            return outputs if next(calls) < 4 else toys.ZEROED_SCORES.change(outputs)

        return run


class Reshapes(toys.Planted):
    """Right for the calls that are compared; then it gives another shape."""

    def compile(self, program: Program, options: Options) -> Compiled:
        calls = iter(range(10**6))

        def run(*inputs: Tensor) -> tuple[Tensor, ...]:
            outputs = program.module(*inputs)
            return outputs if next(calls) < 6 else tuple(x[..., :-1] for x in outputs)

        return run


LOSES, RESHAPES = Loses(), Reshapes()


def run_on(suite: pytest.Pytester, target: str, records: str, *options: str) -> pytest.RunResult:
    (suite.path / "detects.toml").write_text(DETECTS)
    return suite.runpytest_subprocess(
        suites.SUITE, "--profile", "detects.toml", "--target", target, "--records", records, "-p", "no:cacheprovider",
        "-q", "-k", "test_model or test_in_place or test_detections", *options,
    )  # fmt: skip


def test_lost_detections_are_wrong_for_pytest_diff_expect_and_the_matrix(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(suite.path)
    run_on(suite, "toys:HEALTHY", "before").assert_outcomes(passed=3)
    result = run_on(suite, "test_checks:LOSES", "after")
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["*detections differ over 64 images*"])
    (record,) = read_records(suite.path / "after")
    assert (record.status, record.signature, record.failed) == (Status.WRONG, "detections", True)
    assert not any(group.bad for group in record.groups.values())

    command = CliRunner()
    difference = command.invoke(app, ["diff", "before", "after"])
    assert difference.exit_code == 1
    assert "new failure" in difference.output
    accepted = command.invoke(
        app, ["expect", "--accept", record.id, "--reason", "x", "--records", "after", "--expectations", "e.toml"]
    )
    assert accepted.exit_code == 0, accepted.output
    run_on(suite, "test_checks:LOSES", "again", "--expectations", "e.toml").assert_outcomes(passed=2, xfailed=1)
    matrix = command.invoke(app, ["matrix", "--records", "after", "--output", "tables"])
    assert matrix.exit_code == 0
    assert "1 cell: 1 wrong" in matrix.output
    assert "wrong: detections" in Path("tables/compatibility.md").read_text()


def test_layer_that_is_wrong_in_place_is_wrong_for_all_of_them(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(suite.path)
    options = ("--batch", "1", "-k", "test_model or test_in_place")
    suites.run(suite, "--target", "toys:ONLY_TAPPED", *options).assert_outcomes(passed=1, failed=1)
    (record,) = suites.records(suite)
    assert (record.status, record.signature, record.first_bad_layer) == (Status.WRONG, "in place", "join")
    command = CliRunner()
    command.invoke(
        app, ["expect", "--accept", record.id, "--reason", "x", "--records", "records", "--expectations", "e.toml"]
    )
    suites.run(suite, "--target", "toys:ONLY_TAPPED", *options, "--expectations", "e.toml").assert_outcomes(
        passed=1, xfailed=1
    )
    matrix = command.invoke(app, ["matrix", "--records", "records", "--output", "tables"])
    assert "1 cell: 1 wrong" in matrix.output
    assert "wrong: in place, join (Conv2d)" in Path("tables/compatibility.md").read_text()


def test_output_of_another_shape_among_the_detections_is_a_verdict_on_them() -> None:
    case = cell("toydet", "98k", "detect", 4, 64, 64, "float32", "planted", weights="shapes")
    outcome = run_case(case, "toydet", RESHAPES, lambda _: None, "shapes")
    check = outcome.checked(Aspect.DETECTIONS)
    assert check is not None
    assert check.status is Status.MISMATCH
    assert outcome.status is Status.MISMATCH
    assert outcome.checked(Aspect.MODEL) is not None
    assert outcome.detections is None


def broken_reader() -> object:
    raise KeyError("an operator we do not know")


class Unreadable(toys.Planted):
    """Shows a graph that our reader stumbles over."""

    def compile(self, program: Program, options: Options) -> Compiled:
        options.lowered(broken_reader)  # type: ignore[arg-type]
        return super().compile(program, options)


UNREADABLE = Unreadable()


def test_reader_of_ours_that_fails_is_our_own_error_and_keeps_the_figures() -> None:
    outcome = judge(UNREADABLE)
    assert (outcome.status, outcome.stage, outcome.signature) == (Status.SUITE_ERROR, Stage.LOWER, "KeyError")
    assert outcome.groups
    assert outcome.checks
    assert "broken_reader" in str(outcome.traceback)
    assert not outcome.failed
    assert not outcome.decided


def test_error_of_our_own_is_red_in_every_test_never_accepted_and_not_the_devices(
    suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(suite.path)
    options = ("--batch", "1", "-k", "test_model or test_in_place")
    result = suites.run(suite, "--target", "test_checks:UNREADABLE", *options)
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        ["suite_error in lower (KeyError)", "*an error of the suite's own*", "*broken_reader*"]
    )
    assert "accept:" not in result.stdout.str()
    (record,) = suites.records(suite)
    command = CliRunner()
    accepted = command.invoke(
        app, ["expect", "--accept", record.id, "--reason", "x", "--records", "records", "--expectations", "e.toml"]
    )
    assert accepted.exit_code == 2
    assert "an error of the suite's own, which cannot be accepted" in accepted.output
    explained = command.invoke(app, ["explain", record.id, "--records", "records"])
    assert "an error of the suite's own" in explained.output
    assert "broken_reader" in explained.output
    matrix = command.invoke(app, ["matrix", "--records", "records", "--output", "tables"])
    assert "1 cell: 1 suite error" in matrix.output
    difference = command.invoke(app, ["diff", "records", "records"])
    assert difference.exit_code == 0
