"""The emulator plays what is known of a release: and nothing else."""

from __future__ import annotations

import pytest
import torch

from conformance.cases.outcome import Status
from conformance.defects.catalogue import DEFECTS
from conformance.program import Program, Whole
from conformance.running.pipeline import run_case
from conformance.selection import Request, select
from conformance.targets.emulator import Emulator
from conformance.targets.protocol import CompileError, Options

EMULATOR = Emulator()
MINIMAL = {case.id: case for case in select(Request(targets=["emulator"])).minimal}


def options(sdk: str, hardware: str = "inf2", workarounds: tuple[str, ...] = ()) -> Options:
    return Options(hardware, sdk, "float32", workarounds, lambda _: None)


@pytest.mark.parametrize("name", [name for name in MINIMAL if "sdk-2.29.1" in name and "inf2" in name])
def test_minimal_case_turns_red_and_its_workaround_turns_it_green(name: str) -> None:
    case = MINIMAL[name]
    outcome = run_case(case, case.system, EMULATOR, lambda _: None)
    defect = DEFECTS[case.system]
    (expected,) = [m for m in defect.minimal_cases if m.name == case.variant]
    if case.workarounds or not defect.affects(EMULATOR.packages("inf2", "2.29.1"), ()):
        assert outcome.status == Status.PASS or set(outcome.defects) - {case.system}, "or another one strikes there"
    else:
        assert (outcome.status, outcome.signature) == (expected.status, expected.signature)
        assert case.system in outcome.defects


def program(minimal: str) -> Program:
    (found,) = [m for d in DEFECTS.values() for m in d.minimal_cases if m.name == minimal]
    return Program(Whole(found.build()), found.inputs(0))


def test_releases_with_the_same_defects_get_the_same_program() -> None:
    halves = program("two-halves")
    first = EMULATOR.compile(halves, options("2.28.0"))
    assert EMULATOR.compile(halves, options("2.31.0", "trn2")) is first
    assert EMULATOR.compile(halves, options("2.31.0", workarounds=("functionalization",))) is not first


def test_right_program_is_what_eager_computes() -> None:
    halves = program("two-halves")
    compiled = EMULATOR.compile(halves, options("2.29.1", workarounds=("functionalization",)))
    for given, wanted in zip(compiled(*halves.inputs), halves.module(*halves.inputs), strict=True):
        assert torch.equal(given, wanted)


def test_refusal_belongs_to_the_releases_it_was_reported_for() -> None:
    with pytest.raises(CompileError, match=r"NCC_EVRF029: aten.topk.default in module"):
        EMULATOR.compile(program("topk"), options("2.29.1"))
    assert EMULATOR.compile(program("topk"), options("2.31.0")) is not None
