"""What depends on the shape of an input alone may be a constant of a program: no compiler is wrong for it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from cells import cell
from operators_after import HARMLESS

from conformance.cases.outcome import Outcome, Status
from conformance.running.pipeline import run_case
from conformance.targets.loading import load_target
from conformance.targets.protocol import Target
from conformance.targets.xla import Xla


def judge(target: Target, variant: str, **column: object) -> Outcome:
    case = cell("harmless", variant, "detect", 2, 16, 16, "float32", target.name, **column)
    return run_case(case, "operators_after:Harmless", target, lambda _: None)


@pytest.mark.parametrize("target", ["openvino", "onnxruntime", "emulator"])
@pytest.mark.parametrize("variant", HARMLESS)
def test_every_compiler_is_right(target: str, variant: str) -> None:
    found = load_target(target)
    if reason := found.missing():
        pytest.skip(reason)
    column = {"hardware": "inf2", "sdk": "2.29.1"} if found.emulated else {}
    outcome = judge(found, variant, **column)
    assert outcome.status is Status.PASS, outcome.detail


@pytest.mark.parametrize("variant", ["newfull", "causal", "onehot"])
def test_inductor_is_right(variant: str) -> None:
    """Of these alone: a compile takes seconds."""
    found = load_target("inductor")
    if reason := found.missing():
        pytest.skip(reason)
    assert judge(found, variant).status is Status.PASS


@pytest.mark.xla
@pytest.mark.skipif(Xla().missing() is not None, reason="needs the torch-xla environment")
@pytest.mark.parametrize("functionalization", [pytest.param("0", marks=pytest.mark.slow), "1"])
def test_front_end_is_right(functionalization: str, pytester: pytest.Pytester) -> None:
    """In a process of its own: the switch is read when torch-xla is loaded."""
    script = (
        "import sys, test_harmless as t, conformance.targets.xla as x\n"
        "found = {name: t.judge(x.Xla(), name) for name in t.HARMLESS}\n"
        "print({name: one.detail for name, one in found.items() if one.status.value != 'pass'})"
    )
    environment = {**os.environ, **Xla.variables, "XLA_DISABLE_FUNCTIONALIZATION": functionalization}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**environment, "PYTHONPATH": str(Path(__file__).parent)}.items():
            patch.setenv(name, value)
        result = pytester.runpython_c(script)
    assert result.stdout.lines[-1] == "{}", result.stdout.str() + result.stderr.str()
