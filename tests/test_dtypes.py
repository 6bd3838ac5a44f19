"""The verdict at every dtype: what is right passes, planted faults are wrong, and so is less than was asked for."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import toys
from cells import changed
from torch import Tensor

from conformance.cases.outcome import Conditioning, Outcome, Stage, Status
from conformance.programs.program import Program
from conformance.running.comparison import ReferenceModel
from conformance.running.pipeline import run_case
from conformance.targets.emulator import Emulator
from conformance.targets.inductor import Inductor
from conformance.targets.onnxruntime import OnnxRuntime
from conformance.targets.openvino import OpenVino
from conformance.targets.protocol import Compiled, Options, Target

DTYPES = ("float32", "bfloat16", "float16", "matmult-bf16", "all-bf16")


def judge(target: Target, dtype: str, layer: str | None = None, **changes: object) -> Outcome:
    case = changed(toys.CASE, target=target.name, dtype=dtype, layer=layer, **changes)
    return run_case(case, "toys:Toy", target, lambda _: None)


class Rounded(toys.Planted):
    """Computes all in bfloat16, whatever was asked for."""

    def compile(self, program: Program, options: Options) -> Compiled:
        module = copy.deepcopy(program.module).bfloat16()
        dtype = program.inputs[0].dtype

        def run(*inputs: Tensor) -> tuple[Tensor, ...]:
            return tuple(output.to(dtype) for output in module(*(x.bfloat16() for x in inputs)))

        return run


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("target", [Emulator(), OpenVino(), OnnxRuntime()], ids=lambda target: target.name)
def test_what_is_right_passes_or_is_not_claimed(target: Target, dtype: str) -> None:
    if reason := target.missing():
        pytest.skip(reason)
    emulated: dict[str, Any] = (
        {"hardware": "inf2", "sdk": "2.27.1", "workarounds": ("slice",)} if target.emulated else {}
    )
    outcome = judge(target, dtype, **emulated)
    claimed = {"emulator": DTYPES, "openvino": DTYPES, "onnxruntime": ("float32", "float16", "matmult-bf16")}
    if outcome.status == Status.UNSUPPORTED:
        assert dtype != "float32"
        assert outcome.detail
        assert target.name != "emulator"
        assert dtype not in claimed[target.name] or target.name == "openvino", "it may lack what the CPU lacks"
    else:
        assert outcome.status == Status.PASS, outcome
        assert outcome.conditioning[dtype].sufficient


@pytest.mark.parametrize("dtype", DTYPES[1:])
@pytest.mark.parametrize(
    "fault",
    [toys.ZEROED_SCORES, toys.DAMPED_SCORES, toys.IMAGE_3, toys.SWAPPED_CHANNELS, toys.OFF_BY_ONE, toys.STALE],
)
def test_planted_faults_are_wrong_at_every_dtype(fault: toys.Planted, dtype: str) -> None:
    assert judge(fault, dtype).status == Status.WRONG


@pytest.mark.parametrize("dtype", ["float32", "float16", "matmult-bf16"])
def test_bfloat16_where_more_was_asked_for_is_wrong(dtype: str) -> None:
    outcome = judge(Rounded(), dtype)
    assert outcome.status == (Status.WRONG if dtype != "matmult-bf16" else outcome.status)
    worst = max(group.noise_ratio for group in outcome.groups.values())
    assert worst > (1.2 if dtype == "matmult-bf16" else 3)


@pytest.mark.parametrize("dtype", DTYPES)
def test_isolated_layers_are_judged_at_every_dtype(dtype: str) -> None:
    assert judge(toys.HEALTHY, dtype, "halves").status == Status.PASS
    assert judge(toys.OFF_BY_ONE, dtype, "halves").status == Status.WRONG


def test_network_that_cannot_be_judged_has_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    weak = {"bfloat16": Conditioning(layer="join", ratio=2.0, sufficient=False)}
    monkeypatch.setattr(ReferenceModel, "conditioning", lambda self, dtypes: weak)
    outcome = judge(toys.HEALTHY, "bfloat16")
    assert (outcome.status, outcome.stage) == (Status.NOT_JUDGED, Stage.COMPARE)
    assert not outcome.decided
    assert outcome.detail
    assert "in join another image is only 2 times as far" in outcome.detail
    assert outcome.groups, "the figures are there all the same"
    assert {check.status for check in outcome.checks} == {Status.NOT_JUDGED}
    assert judge(toys.ONE_NAN, "bfloat16").status == Status.NONFINITE, "that can be told"
    assert judge(toys.SHORT, "bfloat16").status == Status.MISMATCH
    assert judge(toys.HEALTHY, "bfloat16", "halves").status == Status.PASS, "layers alone are what counts"


def test_inductor_keeps_the_casts_that_are_in_the_program() -> None:
    """It would fuse them away and compute in float32, hundreds of times closer than what was asked for."""
    outcome = judge(Inductor(), "matmult-bf16")
    assert outcome.status == Status.PASS
    assert max(layer.noise_ratio for layer in outcome.layers) > 0.3


def test_inductor_casts_nothing_on_its_own() -> None:
    outcome = judge(Inductor(), "all-bf16")
    assert outcome.status == Status.UNSUPPORTED
    assert outcome.detail == "no auto-cast, all-bf16"
