"""The compiler's arguments, and what it says when it fails."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from doubles import stand_on

from conformance.cases.outcome import Stage
from conformance.targets.neuronx_cc import arguments, compiling
from conformance.targets.protocol import CompileError, Crashed


def test_every_default_is_said() -> None:
    said = " ".join(arguments("trn2", "matmult-bf16", 2, 1, "2.24.8799.0+6f62ff7c"))
    assert said == (
        "--target trn2 --model-type generic --optlevel 2 --auto-cast matmult --auto-cast-type bf16 "
        "--logical-nc-config 1"
    )
    inf2 = " ".join(arguments("inf2", "bfloat16", 3, 1, "2.27.5334.0"))
    assert inf2 == (
        "--target inf2 --model-type generic --optlevel 3 --auto-cast none "
        "--native-int64 disabled --implicit-integer-downcast all"
    )


def trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, play: str) -> None:
    """As torch_neuronx traces: the compiler is a process, and its exit status is all that is raised."""
    stand_on(monkeypatch, tmp_path, "trn2")
    monkeypatch.setenv("NEURON_DOUBLE_COMPILER", play)
    (tmp_path / "model").write_text("")
    (tmp_path / "graph.txt").write_text('instructions { opcode: "sort" }')
    command = ["neuronx-cc", "compile", "model", "--framework", "XLA", "--target", "trn2", "--output", "neff"]
    status = subprocess.run(command, cwd=tmp_path, env=os.environ).returncode
    raise RuntimeError(f"neuronx-cc failed with {status}")


def test_failure_has_the_code_in_what_the_compiler_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stages: list[Stage] = []
    with pytest.raises(CompileError) as error, compiling(tmp_path, stages.append):
        trace(tmp_path, monkeypatch, "")
    assert error.value.signature == "NCC_EVRF029"
    assert "Operation sort" in error.value.detail
    assert stages[-1] == Stage.COMPILE


def fails(said: bytes) -> None:
    os.write(1, said)
    raise RuntimeError("neuronx-cc failed with 70")


def test_failure_without_a_code_is_its_exit_status(tmp_path: Path) -> None:
    with pytest.raises(CompileError, match=r"^exit 70: no more is known$"), compiling(tmp_path, lambda stage: None):
        fails(b"no more is known")


def test_killed_compiler_is_a_crash_with_its_signal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Crashed) as error, compiling(tmp_path, lambda stage: None):
        trace(tmp_path, monkeypatch, "kill")
    assert error.value.signature == "SIGKILL"


@pytest.mark.first_run
@pytest.mark.parametrize(("code", "signal"), [("F137", "SIGKILL"), ("F134", "SIGABRT"), ("F139", "SIGSEGV")])
def test_pass_that_died_in_a_process_of_its_own_is_a_crash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, signal: str
) -> None:
    with pytest.raises(Crashed) as error, compiling(tmp_path, lambda stage: None):
        trace(tmp_path, monkeypatch, code)
    assert error.value.signature == signal
    assert "forcibly killed" in error.value.detail


@pytest.mark.first_run
@pytest.mark.parametrize("code", ["DR101", "CTR101", "SPPX101", "NCC_AB101", "NCC_ABC101", "NCC_ABCDE101"])
def test_code_of_any_family_is_the_signature_and_no_other_number_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    with pytest.raises(CompileError) as error, compiling(tmp_path, lambda stage: None):
        trace(tmp_path, monkeypatch, code)
    assert error.value.signature == code, "and not HPM999, which the log tells as well"


def test_other_errors_are_not_the_compilers(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"^no lowering$"), compiling(tmp_path, lambda stage: None):
        raise RuntimeError("no lowering")
