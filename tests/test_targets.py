"""The healthy control group: independent compilers of this host pass what is right, whole, in place and alone."""

from __future__ import annotations

import gc
import logging
from importlib.util import find_spec

import pytest
import torch
import toys
from cells import cell, changed

from conformance.cases.case import Column
from conformance.cases.outcome import Status
from conformance.defects.catalogue import DEFECTS
from conformance.programs.program import Program, Whole
from conformance.running.pipeline import run_case
from conformance.targets.loading import load_target
from conformance.targets.protocol import Options, Unsupported


@pytest.mark.parametrize("name", ["openvino", "onnxruntime", "inductor"])
@pytest.mark.parametrize("layer", [None, "halves"])
def test_real_compiler_passes(name: str, layer: str | None) -> None:
    target = load_target(name)
    if reason := target.missing():
        pytest.skip(reason)
    assert target.packages("cpu", None)
    outcome = run_case(changed(toys.CASE, target=name, layer=layer), "toys:Toy", target, lambda _: None)
    assert outcome.status == Status.PASS, outcome
    assert all(not found.bad for found in outcome.layers)
    assert len(outcome.layers) == (1 if layer else 4)


class Spectrum(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        spectrum: torch.Tensor = torch.fft.rfft2(x)
        return spectrum.abs()


@pytest.mark.parametrize(
    ("name", "module", "lacking"),
    [
        ("onnxruntime", torch.nn.AdaptiveMaxPool2d(2), "torch.onnx has no aten.adaptive_max_pool2d"),
        ("openvino", Spectrum(), "its front end has no aten._fft_r2c.default"),
    ],
)
def test_operator_that_a_front_end_lacks_is_not_claimed(name: str, module: torch.nn.Module, lacking: str) -> None:
    target = load_target(name)
    if reason := target.missing():
        pytest.skip(reason)
    program = Program(Whole(module), (torch.rand(1, 1, 3, 3),))
    with pytest.raises(Unsupported, match=lacking.replace(".", r"\.")):
        target.compile(program, Options(Column(target.name), "float32", lambda stage: None))


def test_compiled_program_outlives_its_model(caplog: pytest.LogCaptureFixture) -> None:
    target = load_target("openvino")
    if reason := target.missing():
        pytest.skip(reason)
    caplog.set_level(logging.CRITICAL)  # what is logged about a handled error holds the program
    x = torch.rand(1, 8, 32, 32).bfloat16()
    program = Program(Whole(torch.nn.Linear(32, 40).bfloat16()), (x,))
    try:
        compiled = target.compile(program, Options(Column(target.name), "bfloat16", lambda stage: None))
    except Unsupported as error:
        pytest.skip(error.detail)
    (before,) = compiled(x)
    del program
    gc.collect()
    taken = [torch.full((length,), torch.nan, dtype=torch.bfloat16) for length in (40, 32 * 40) for _ in range(2000)]
    (after,) = compiled(x)
    assert torch.equal(before, after), f"one of {len(taken)} tensors lies where its weights were"


@pytest.mark.skipif(find_spec("openvino") is None, reason="needs openvino")
def test_openvino_has_the_defects_of_the_kernels_of_its_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    column = DEFECTS["openvino-one-column"]
    for here in (True, False):
        monkeypatch.setattr("conformance.targets.openvino.has_avx512", lambda here=here: here)
        assert column.affects(load_target("openvino").packages("cpu", None), ()) is here


OF_CONTROLS = {
    f"{defect.id}:{minimal.name}": cell(defect.id, minimal.name, "", minimal.batch, None, None, minimal.dtype, target)
    for target in ("openvino", "onnxruntime")
    for defect in DEFECTS.values()
    if any(package.startswith(target) for package in defect.packages)
    for minimal in defect.minimal_cases
}


@pytest.mark.parametrize("name", OF_CONTROLS)
def test_control_compiler_has_its_defects(name: str) -> None:
    case = OF_CONTROLS[name]
    target = load_target(case.column.target)
    if reason := target.missing():
        pytest.skip(reason)
    if not DEFECTS[case.subject.system].affects(target.packages("cpu", None), case.column.workarounds):
        pytest.skip("another version")
    outcome = run_case(case, case.subject.system, target, lambda _: None)
    (expected,) = [m for m in DEFECTS[case.subject.system].minimal_cases if m.name == case.subject.variant]
    ends = [(expected.status, expected.signature), (Status.ERROR, expected.or_error)]
    assert (outcome.status, outcome.signature) in ends
    assert outcome.defects == [case.subject.system]


def test_third_partys_target_of_the_documentation_works() -> None:
    """The example in the Protocol's docstring, as it stands there."""
    import importlib.metadata
    from inspect import cleandoc

    from conformance.cases.outcome import Stage
    from conformance.targets import protocol

    code = cleandoc((protocol.__doc__ or "").partition("in full:")[2])
    names: dict[str, object] = {"importlib": importlib, "Stage": Stage}
    exec(code, names)
    eager = names["Eager"]()  # type: ignore[operator]
    outcome = run_case(changed(toys.CASE, target="eager"), "toys:Toy", eager, lambda _: None)
    assert outcome.status == Status.PASS
    assert eager.missing() is None
    assert "torch" in eager.packages("cpu", None)
