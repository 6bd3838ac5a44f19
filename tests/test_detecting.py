"""The detections of a compiled model, through the whole pipeline: what a fault costs; what is right costs nothing."""

from __future__ import annotations

import copy

import pytest
import torch
import toys
from cells import cell, changed
from torch import Tensor, nn

from conformance.cases.case import Case
from conformance.cases.outcome import DetectionFigures, Status
from conformance.golden.baseline import baseline_runs
from conformance.programs.program import Whole, tensors
from conformance.running import detecting
from conformance.running.judgement import judge_detections
from conformance.running.pipeline import run_case
from conformance.systems.loading import load_system
from conformance.targets.emulator import Emulator
from conformance.targets.onnxruntime import OnnxRuntime
from conformance.targets.protocol import Target

CASE = cell("toydet", "98k", "detect", 4, 64, 64, "float32", target="planted", weights="shapes")
FIRST_ONLY = toys.Planted(lambda outputs: (outputs[0][:1].expand_as(outputs[0]),))


def figures(target: Target, case: Case = CASE) -> DetectionFigures:
    outcome = run_case(case, "toydet", target, lambda _: None, "shapes")
    assert outcome.detections is not None
    return outcome.detections


def test_healthy_device_keeps_everything() -> None:
    found = figures(toys.HEALTHY)
    assert found.images == 64
    assert found.ap == found.reference_ap
    assert found.ap is not None
    assert found.ap > 0.7
    for count in found.counts:
        assert count.reference == count.kept > 0
        assert not count.lost
        assert not count.spurious


@pytest.mark.parametrize(
    ("target", "keeps", "spurious"),
    [(toys.ZEROED_SCORES, 0.0, False), (toys.DAMPED_SCORES, 0.95, False), (FIRST_ONLY, 0.5, True)],
    ids=["zeroed", "damped", "first image only"],
)
def test_fault_loses_detections_and_precision(target: Target, keeps: float, spurious: bool) -> None:
    found = figures(target)
    highest = found.counts[-1]
    assert highest.kept <= keeps * highest.reference
    assert highest.lost > 0
    assert bool(highest.spurious) is spurious
    assert found.ap is not None
    assert found.reference_ap is not None
    assert found.ap < found.reference_ap


def test_default_of_the_sdk_loses_detections_and_the_workaround_none() -> None:
    """Emulated: the split between centres and sizes of the boxes."""
    emulated = changed(CASE, target="emulator", hardware="inf2", sdk="2.29.1")
    lost, kept = (figures(Emulator(), changed(emulated, workarounds=used)) for used in ((), ("slice",)))
    assert all(count.lost for count in lost.counts)
    assert not any(count.lost or count.spurious for count in kept.counts)


def test_device_that_gives_nan_finds_nothing_there() -> None:
    found = figures(toys.ONE_NAN)
    assert found.nonfinite > 0


def test_without_the_library_for_precision_the_counts_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "conformance.detections.average_precision.missing_packages", lambda needed, name: f"{name} needs it: install"
    )
    found = figures(toys.ZEROED_SCORES)
    assert found.ap is None
    assert found.no_ap == "average precision needs it: install"
    assert found.counts[0].lost


def test_model_without_trained_weights_detects_nothing() -> None:
    outcome = run_case(toys.CASE, "toys:Toy", toys.HEALTHY, lambda _: None)
    assert outcome.status == Status.PASS
    assert outcome.detections is None
    assert detecting.IMAGES == 64


@pytest.mark.parametrize(("times", "rounding"), [(2.9, True), (100.0, False)])
def test_what_rounding_decides_is_told_from_what_is_lost(times: float, rounding: bool) -> None:
    """An answer as far from the reference as the limit lets it be, and one that is not."""
    case = changed(CASE, dtype="matmult-bf16")
    system = load_system("toydet")
    model = system.build("98k", "detect", "shapes")  # type: ignore[call-arg]
    exact = copy.deepcopy(model.module).double()

    def ask(inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        reference = tensors(exact(*(x.double() for x in inputs)))[0]
        _, (rounded, *_) = next(baseline_runs(Whole(model.module), inputs, case.subject.dtype))
        return (reference + times * (rounded - reference),)

    found = detecting.detect(case.subject, system, model, ask)
    assert found is not None
    assert found.rounding is rounding
    differ = any(count.lost or count.spurious for count in found.counts)
    assert differ or rounding, "which detections are near enough to a tie is another matter on another CPU"
    check = judge_detections(found)
    assert check.status is (Status.PASS if rounding else Status.WRONG)
    assert (check.detail == "what is lost or made up is so by rounding alone") is (differ and rounding)


def test_valid_run_that_overflows_in_one_place_excuses_no_other() -> None:
    class Overflows(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.where(x == x.max(), torch.inf, x * 1.001)

    x = torch.rand(1, 6, 40, generator=torch.Generator().manual_seed(0))
    answers = list(detecting._allowed(Whole(Overflows()), (x,), x.double(), "float32", ranked=False))
    drawn = answers[-detecting._DRAWS :]
    assert not answers[0].isfinite().all()
    assert all(answer.isfinite().all() for answer in drawn)
    assert 0 < (drawn[0] - x).abs().max() < 0.1


@pytest.mark.skipif(OnnxRuntime().missing() is not None, reason="needs onnxruntime")
@pytest.mark.parametrize("dtype", ["float16", "matmult-bf16"])
def test_compiler_that_is_right_at_other_dtypes_loses_nothing(dtype: str) -> None:
    """Of its detections there is one that float64 has not: two boxes overlap by just what suppresses one of them."""
    case = changed(CASE, dtype=dtype, target="onnxruntime")
    outcome = run_case(case, "toydet", OnnxRuntime(), lambda _: None, "shapes")
    assert outcome.status is Status.PASS, outcome.detections
