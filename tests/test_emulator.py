"""The emulator emulates what is known of a release: and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from cells import cell

from conformance.cases.case import Column
from conformance.cases.outcome import Status
from conformance.defects import catalogue
from conformance.defects.catalogue import DEFECTS
from conformance.defects.defect import Defect
from conformance.graphs.fx_match import calls
from conformance.programs.program import Program, Whole
from conformance.running.pipeline import run_case
from conformance.selection.select import Request, select
from conformance.targets.emulator import Emulator
from conformance.targets.protocol import CompileError, Options

EMULATOR = Emulator()
MINIMAL = {case.id: case for case in select(Request(targets=["emulator"])).minimal}


def options(sdk: str, hardware: str = "inf2", workarounds: tuple[str, ...] = ()) -> Options:
    return Options(Column("emulator", hardware, sdk, workarounds=workarounds), "float32", lambda _: None)


@pytest.mark.parametrize("name", [name for name in MINIMAL if "sdk-2.29.1" in name and "inf2" in name])
def test_minimal_case_turns_red_and_its_workaround_turns_it_green(name: str) -> None:
    case = MINIMAL[name]
    outcome = run_case(case, case.subject.system, EMULATOR, lambda _: None)
    defect = DEFECTS[case.subject.system]
    (expected,) = [m for m in defect.minimal_cases if m.name == case.subject.variant]
    if case.column.workarounds or not defect.affects(EMULATOR.packages("inf2", "2.29.1"), ()):
        assert outcome.status == Status.PASS or set(outcome.defects) - {case.subject.system}, (
            "or another one is triggered there"
        )
    else:
        assert (outcome.status, outcome.signature) == (expected.status, expected.signature)
        assert case.subject.system in outcome.defects


# Of every package that a defect of Neuron is known by, versions from before and within the releases.
VERSIONS = {
    "neuronx-cc": ["2.12.68.0", "2.14.213.0", "2.16.345.0", "2.21.33363.0", "2.22.12471.0", "2.23.6484.0",
                   "2.24.8799.0", "2.25.3371.0", "2.26.6360.0"],
    "torch-xla": ["2.9.0"],
    "torch-neuronx": ["2.9.0.2.13.26312", "2.13.3.0"],
}  # fmt: skip
EMULATED = {f"{d.id}:{m.name}": (d, m) for d in DEFECTS.values() if d.fault or d.error_code for m in d.minimal_cases}


class Having(Emulator):
    """An emulator of a device with one defect's package, and no other."""

    def __init__(self, defect: Defect) -> None:
        super().__init__()
        self.defect = defect

    def packages(self, hardware: str, sdk: str | None) -> dict[str, str]:
        found = ({name: version} for name, versions in VERSIONS.items() for version in versions)
        return next(packages for packages in found if self.defect.affects(packages, ()))


@pytest.mark.parametrize("name", EMULATED)
def test_every_defect_of_neuron_is_played_and_its_workarounds_help(name: str) -> None:
    """Alone, so that what is seen is its own doing: another one of the same compiler may come first."""
    defect, minimal = EMULATED[name]
    hardware = defect.hardware[0] if defect.hardware else "trn2"
    for workarounds in ((), *((workaround,) for workaround in minimal.workarounds)):
        case = cell(
            defect.id, minimal.name, "", minimal.batch, None, None, minimal.dtype, "emulator",
            hardware=hardware, sdk="2.29.1", workarounds=workarounds,
        )  # fmt: skip
        with only(defect):
            outcome = run_case(case, defect.id, Having(defect), lambda _: None)
        if workarounds:
            assert outcome.status == Status.PASS, outcome
        else:
            expected = (defect.stage, minimal.status, minimal.signature, [defect.id])
            assert (outcome.stage, outcome.status, outcome.signature, outcome.defects) == expected


@contextmanager
def only(defect: Defect) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalogue, "DEFECTS", {defect.id: defect})
        yield


def test_defect_of_a_family_and_a_dtype_strikes_nowhere_else() -> None:
    splits, casts = DEFECTS["batch-4-split"], DEFECTS["auto-cast-nan"]
    compiler = {"neuronx-cc": "2.24.8799.0"}
    assert splits.affects(compiler, (), "inf2")
    assert not splits.affects(compiler, (), "trn2")
    assert casts.affects(compiler, (), "trn2", "matmult-bf16")
    assert not casts.affects(compiler, (), "trn2", "float32")


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


def test_what_a_workaround_freezes_is_played_where_it_is_on() -> None:
    """`unfold` is refused without functionalization, and left to the CPU with it."""
    windows = Program(Whole(calls(lambda x: x.unfold(3, 2, 1).sum(-1))), (torch.ones(2, 3, 4, 4),))
    with pytest.raises(CompileError):
        EMULATOR.compile(windows, options("2.31.0"))
    (given,) = EMULATOR.compile(windows, options("2.31.0", workarounds=("functionalization",)))(
        torch.zeros(2, 3, 4, 4)
    )
    assert torch.equal(given, torch.full((2, 3, 4, 3), 2.0)), "of the example"


def test_answers_that_are_made_up_are_marked() -> None:
    """The release notes name a wrong answer and do not say what comes out: the record says that this one is ours."""
    case = MINIMAL["multiply-reduce:masked-sum/b2/fp32@emulator/inf2/sdk-2.29.1"]
    outcome = run_case(case, case.subject.system, EMULATOR, lambda _: None)
    assert (outcome.status, outcome.invented) == (Status.WRONG, ["multiply-reduce"])
    said = MINIMAL["split-with-sizes:two-halves/b2/fp32@emulator/inf2/sdk-2.29.1"]
    assert run_case(said, said.subject.system, EMULATOR, lambda _: None).invented == []


def test_refusal_belongs_to_the_releases_it_was_reported_for() -> None:
    with pytest.raises(CompileError, match=r"NCC_EVRF029: aten.topk.default in the model itself"):
        EMULATOR.compile(program("topk"), options("2.29.1"))
    assert EMULATOR.compile(program("topk"), options("2.31.0")) is not None
