"""In the torch-xla environment: the real front end, and the emulator against it. `make test-xla`."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import torch
from cells import cell, changed
from suites import MINIMAL, SUITE
from torch.nn.functional import interpolate
from transcripts import Transcript, transcripts

from conformance.cases.case import Column
from conformance.cases.outcome import Record, Stage, Status
from conformance.compare.metrics import by_image, rel_l2
from conformance.defects.catalogue import DEFECTS
from conformance.defects.defect import MinimalCase
from conformance.defects.resize_scale import resized_by_size
from conformance.defects.split_with_sizes import split_densely
from conformance.golden.reference import record
from conformance.programs.program import Program, Whole
from conformance.pytest_plugin.assertions import require_detections
from conformance.pytest_plugin.case_runner import CaseRunner
from conformance.results.records import RecordWriter
from conformance.running.worker import Worker
from conformance.selection.select import Request, select
from conformance.systems.yolo26 import Yolo26
from conformance.targets.emulator import Emulator
from conformance.targets.protocol import CompileError, Options, Target
from conformance.targets.xla import Xla

pytestmark = pytest.mark.xla
XLA = Xla()
if XLA.missing():
    pytest.skip("needs the torch-xla environment", allow_module_level=True)
os.environ.update(XLA.variables)  # before torch-xla is imported: functionalization off, as torch-neuronx has it

SPLITS = transcripts("split")


def options(target: str) -> Options:
    return Options(Column("emulator", target, "2.29.1"), "float32", lambda _: None)


@pytest.mark.parametrize("name", SPLITS)
def test_real_lowering_gives_the_published_numbers(name: str) -> None:
    import torch_xla

    transcript: Transcript = SPLITS[name]
    x = torch.tensor(transcript.input)
    pieces = x.to(torch_xla.device()).split(transcript.sizes, transcript.dim)  # type: ignore[no-untyped-call]
    assert transcript.shown_by(tuple(piece.cpu() for piece in pieces))


@pytest.mark.parametrize(
    ("shape", "sizes", "dim"),
    [((2, 6), [2, 4], -1), ((3, 4, 5), [1, 3], 1), ((2, 4, 12, 10), [2, 2, 8], 2), ((4, 8, 3, 3), [4, 4], 1)],
)
@pytest.mark.parametrize("permuted", [False, True])
def test_fault_model_equals_the_real_lowering(
    shape: tuple[int, ...], sizes: list[int], dim: int, permuted: bool
) -> None:
    import torch_xla

    x = torch.randn(shape)
    if permuted:  # not contiguous
        x = x.transpose(0, -1).contiguous().transpose(0, -1)
    device = torch_xla.device()
    real = [piece.cpu() for piece in (x.to(device) * 1).split(sizes, dim)]  # type: ignore[no-untyped-call]
    for given, wanted in zip(split_densely(x, sizes, dim), real, strict=True):
        assert torch.equal(given, wanted)


@pytest.mark.parametrize(
    ("mode", "factor"), [("bilinear", 1.5), ("bilinear", 0.3), ("nearest", 1.7), ("nearest", 0.6)]
)
def test_fault_model_of_a_scale_factor_equals_the_real_lowering(mode: str, factor: float) -> None:
    import torch_xla

    x = torch.randn(2, 3, 7, 9)
    real = interpolate(x.to(torch_xla.device()), scale_factor=factor, mode=mode).cpu()
    corners = [False] if mode == "bilinear" else []
    torch.testing.assert_close(resized_by_size(x, None, *corners, [factor, factor]), real)
    assert not torch.allclose(interpolate(x, scale_factor=factor, mode=mode), real, atol=0.01)


FRONT_END = {
    f"{defect.id}:{minimal.name}": minimal
    for defect in DEFECTS.values()
    if "torch-xla" in defect.packages
    for minimal in defect.minimal_cases
}


def came_to(target: Target, hardware: str, minimal: MinimalCase) -> tuple[torch.Tensor, ...] | str:
    """What a target that compiled a minimal case for other inputs gives for it, or the signature of its refusal."""
    program = Program(Whole(minimal.build().eval()), minimal.inputs(1))
    try:
        with torch.no_grad():
            return target.compile(program, options(hardware))(*minimal.inputs(0))
    except CompileError as error:
        return error.signature
    except Exception as error:  # noqa: BLE001 (what torch-xla raises)
        return type(error).__name__


@pytest.mark.parametrize("name", FRONT_END)
def test_emulator_is_torch_xla_on_every_front_end_defect(name: str) -> None:
    minimal = FRONT_END[name]
    emulated, real = came_to(Emulator(), "inf2", minimal), came_to(XLA, "cpu", minimal)
    if minimal.status not in (Status.WRONG, Status.MISMATCH):
        assert emulated == real == minimal.signature
        return
    assert not isinstance(emulated, str)
    assert not isinstance(real, str)
    right = minimal.build().eval()(*minimal.inputs(0))
    right = right if isinstance(right, tuple) else (right,)
    for given, wanted in zip(emulated, real, strict=True):
        assert given.shape == wanted.shape
        assert (rel_l2(by_image([given]), by_image([wanted])) <= 1e-3).all()
    assert not all(
        given.shape == wanted.shape and torch.allclose(given, wanted, atol=1e-3)
        for given, wanted in zip(real, right, strict=True)
    )


class Relu(torch.nn.Module):
    """The difference of two inputs, and the relu of one of them."""

    def __init__(self, place: int) -> None:
        super().__init__()
        self.place = place

    def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return inputs[0] - inputs[1], inputs[self.place].relu()


def test_programs_that_differ_only_in_which_input_is_read_are_not_mixed_up() -> None:
    """torch-xla itself mixes them up: pytorch/xla#8353."""
    import torch_xla

    inputs = torch.randn(2, 3), torch.randn(2, 3)
    device = torch_xla.device()
    for place, right in ((0, True), (1, False)):
        lazy = Relu(place)(*(x.to(device) for x in inputs))
        torch_xla.sync()
        assert torch.equal(lazy[1].cpu(), inputs[place].relu()) == right
    for place in (0, 1):
        compiled = XLA.compile(Program(Whole(Relu(place)), inputs), options("cpu"))
        assert torch.equal(compiled(*inputs)[1], inputs[place].relu())


@pytest.mark.parametrize("batch", [1, 2])
def test_emulators_wrong_answer_is_torch_xlas_at_every_layer(batch: int) -> None:
    pytest.importorskip("ultralytics")
    system = Yolo26()
    model = system.build("n", "detect")
    inputs = system.inputs(cell("yolo26", "n", "detect", batch, 320, 320, "float32", "").subject, 0)
    model.module(*inputs)
    program = Program(record(model.module, model.layers, inputs).tapped(model.module), inputs)
    with torch.no_grad():
        right = program.module(*inputs)
        emulated = Emulator().compile(program, options("inf2"))(*inputs)
        real = XLA.compile(program, options("cpu"))(*inputs)
    assert len(right) == len(emulated) == len(real) == 1 + 23  # the last layer's output is the model's own
    for index, (given, wanted) in enumerate(zip(emulated, real, strict=True)):
        assert (rel_l2(by_image([given]), by_image([wanted])) <= 1e-3).all(), f"tensor {index}"
    c2psa = 1 + 10
    error = rel_l2(by_image([real[c2psa]]), by_image([right[c2psa]]))
    assert (error > 0.1).all(), "or there is nothing to agree on"
    assert (rel_l2(by_image([real[c2psa - 1]]), by_image([right[c2psa - 1]])) < 1e-4).all(), "right until then"


@pytest.fixture(scope="module")
def case_runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CaseRunner]:
    worker = Worker(threads=os.cpu_count() or 1, timeout=300)
    writer = RecordWriter(tmp_path_factory.mktemp("records") / "xla.jsonl")
    yield CaseRunner(select(Request(targets=["xla"])), worker, writer)
    worker.close()


def yolo26n(case_runner: CaseRunner, *workarounds: str) -> Record:
    return case_runner.run(cell("yolo26", "n", "detect", 2, 320, 320, "float32", "xla", workarounds=workarounds))


def test_yolo26n_is_wrong_as_neuron_compiles_it_and_the_record_says_where(case_runner: CaseRunner) -> None:
    pytest.importorskip("ultralytics")
    found = yolo26n(case_runner)
    assert (found.status, found.stage) == (Status.WRONG, Stage.COMPARE)
    assert found.first_bad_layer == "model.10"
    assert next(layer.type for layer in found.layers if layer.bad) == "C2PSA"
    assert found.defects == ["split-with-sizes"]
    assert all(image.noise_ratio > 5 for image in found.groups["scores"].per_image)
    assert found.published_gate is not None


@pytest.mark.parametrize(
    "workaround",
    ["slice", *(pytest.param(name, marks=pytest.mark.slow) for name in ("tensor_split", "functionalization"))],
)
def test_yolo26n_is_right_with_each_workaround(case_runner: CaseRunner, workaround: str) -> None:
    pytest.importorskip("ultralytics")
    found = yolo26n(case_runner, workaround)
    assert found.status == Status.PASS
    assert found.first_bad_layer is None


@pytest.mark.parametrize("system", ["toydet98k", pytest.param("yolo26n", marks=pytest.mark.slow)])
def test_weights_that_detect_lose_detections_as_neuron_compiles_them_and_none_with_a_workaround(
    case_runner: CaseRunner, system: str
) -> None:
    cases = {
        "toydet98k": cell("toydet", "98k", "detect", 4, 64, 64, "float32", "xla", weights="shapes"),
        "yolo26n": cell("yolo26", "n", "detect", 4, 256, 256, "float32", "xla", weights="shapes"),
    }
    if system == "yolo26n":
        pytest.importorskip("ultralytics")
    with pytest.raises(pytest.fail.Exception, match="detections differ over 64 images"):
        require_detections(case_runner.run(cases[system]))
    require_detections(case_runner.run(changed(cases[system], workarounds=("slice",))))


def test_minimal_cases_on_the_real_front_end(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_subprocess(
        f"{SUITE}/suite/test_regressions.py", "--target", "xla", "--records", "records", "-q"
    )
    result.assert_outcomes(passed=MINIMAL)
