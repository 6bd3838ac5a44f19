"""`conformance search`: where a case is right, with what, and without which pass."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timezone
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree

import pytest
from cells import cell
from typer.testing import CliRunner

from conformance.cases.case import Case, Column
from conformance.cases.outcome import Record, Stage, Status
from conformance.checking.case_runner import CaseRunner
from conformance.checking.check import nobody, prepared
from conformance.commands.cli import app
from conformance.core.errors import UserError
from conformance.defects.catalogue import DEFECTS
from conformance.running.worker import Worker
from conformance.search.maps import html, svg
from conformance.search.passes import blamed_pass
from conformance.search.remedy import remedies
from conformance.search.sweep import Map, maps, sweep
from conformance.search.trials import Trials
from conformance.selection.expand import Chosen
from conformance.selection.model import ModelRequest, find_model
from conformance.targets.loading import load_target
from conformance.targets.passes import without

NOON = datetime(2026, 12, 1, 12, tzinfo=timezone.utc)
HERE = str(Path(__file__).parent)


@pytest.fixture
def trials(planted_worker: Worker) -> Callable[..., Trials]:
    """The network on a target, and what came of it."""

    def of(target: str, model: str = "Net", dtype: str = "float32") -> Trials:
        chosen = Chosen(named=True, resolutions=["16"] if model == "Net" else None, dtypes=[dtype])
        target = target if target.islower() else f"planted:{target}"
        request = ModelRequest(find_model(f"planted:{model}"), (target,), chosen)
        runner = CaseRunner(prepared(request, planted_worker), planted_worker, None)
        (case,) = runner.selection.models
        return Trials(case, runner.run(case), runner, nobody)

    return of


def test_pass_to_blame_is_found_beside_one_that_is_needed(trials: Callable[..., Trials]) -> None:
    found = blamed_pass(trials("PASS"))
    assert found.passes == ("third",)
    assert found.of == ("first", "second", "needed", "third", "fourth")


def test_less_of_an_auto_cast_is_a_remedy(trials: Callable[..., Trials]) -> None:
    found = remedies(trials("CASTS", dtype="all-bf16"))
    assert [(one.name, one.dtype) for one in found.remedies] == [("auto-cast none", "float32")]
    assert found.tried.keys() >= {"auto-cast none", "auto-cast matmult"}


def test_two_passes_that_must_both_be_left_out(trials: Callable[..., Trials]) -> None:
    assert blamed_pass(trials("PASSES")).passes == ("second", "fourth")


def test_no_pass_is_accused_where_none_is_to_blame(trials: Callable[..., Trials]) -> None:
    found = blamed_pass(trials("NO_PASS"))
    assert (found.passes, found.snippet) == ((), "")


def test_target_without_passes_is_one_line(trials: Callable[..., Trials]) -> None:
    with pytest.raises(UserError, match="operator cannot leave passes out: try `conformance search remedy`"):
        blamed_pass(trials("OPERATOR"))


def test_case_that_is_right_needs_no_cure(trials: Callable[..., Trials]) -> None:
    with pytest.raises(UserError, match="has not failed on its target"):
        trials("RIGHT")


def test_setting_that_helps_is_found_and_what_it_costs(trials: Callable[..., Trials]) -> None:
    found = remedies(trials("PASS"))
    (one,) = found.remedies
    assert one.settings == ("careful",)
    assert one.snippet == "# careful: compute as eager does"
    assert one.run is not None
    assert found.run is not None
    assert found.tried["loud"] == "wrong in compare"


def test_nothing_helps(trials: Callable[..., Trials]) -> None:
    assert remedies(trials("OPERATOR")).remedies == ()


def test_optimiser_of_onnxruntime_that_refuses_a_graph_is_named(trials: Callable[..., Trials]) -> None:
    pytest.importorskip("onnxruntime")
    if not DEFECTS["onnxruntime-ceil-shape"].affects(load_target("onnxruntime").packages("cpu", None), ()):
        pytest.skip("this version has no such defect")
    found = blamed_pass(trials("onnxruntime", "ceil_shape"))
    (name,) = found.passes
    assert found.snippet.endswith(f"options, disabled_optimizers=['{name}'])")


@pytest.mark.xla
@pytest.mark.slow
def test_pass_of_xla_that_dies_is_named(trials: Callable[..., Trials]) -> None:
    if find_spec("torch_xla") is None:
        pytest.skip("needs the torch-xla environment")
    found = blamed_pass(trials("xla", "one_row"))
    assert found.passes == ("algsimp",)
    assert found.snippet == 'export XLA_FLAGS="--xla_disable_hlo_passes=algsimp"'


@pytest.mark.slow
def test_passes_and_lowerings_of_inductor_are_listed_and_left_out(planted_worker: Worker) -> None:
    if reason := load_target("inductor").missing():
        pytest.skip(reason)
    chosen = Chosen(named=True, resolutions=["16"], settings=[("list-passes",), without(["aten.tanh.default"])])
    runner = CaseRunner(
        prepared(ModelRequest(find_model("planted:Net"), ("inductor",), chosen), planted_worker), planted_worker, None
    )
    listed, other = (runner.run(case) for case in runner.selection.models)
    assert {"aten.convolution.default", "aten.tanh.default", "fusion", "simd"} <= set(listed.passes)
    assert (listed.status, other.status, other.passes) == (Status.PASS, Status.PASS, [])


def run_of(wrong: Callable[[int, int], bool], tried: list[Case]) -> Callable[[Case], Record]:
    def run(case: Case) -> Record:
        tried.append(case)
        subject = case.subject
        bad = wrong(subject.batch, subject.height or 0)
        return Record(
            stage=Stage.COMPARE, status=Status.WRONG if bad else Status.PASS, id=case.id, case=case, emulated=False,
            command="", started=NOON, finished=NOON,
        )  # fmt: skip

    return run


def grid(batches: list[int], sizes: list[int]) -> Map:
    cases = [cell("toy", "1", "detect", b, s, s, "float32", "planted") for b in batches for s in sizes]
    (found,) = maps(cases)
    return found


def test_sweep_finds_every_border_and_does_not_try_all() -> None:
    tried: list[Case] = []
    batches, sizes = [1, 2, 3, 4, 5, 6, 7, 8], [32 * n for n in range(1, 9)]
    found = sweep(grid(batches, sizes), run_of(lambda batch, size: batch >= 3 and size >= 96, tried))
    assert len(tried) < 50
    assert len(tried) == len({case.id for case in tried})
    assert found.borders() == [
        "32x32, 64x64: batch 1 to 8 pass",
        "96x96, 128x128, 160x160, 192x192, 224x224, 256x256: batch 1 to 2 pass, 3 to 8 wrong",
    ]


def test_one_batch_that_is_wrong_alone_is_not_overlooked() -> None:
    found = sweep(grid([1, 2, 3, 4, 8], [64]), run_of(lambda batch, size: batch == 3, []))
    assert found.borders() == ["64x64: batch 1 to 2 pass, 3 wrong, 4 to 8 pass"]


def test_what_was_not_tried_is_shown_as_such() -> None:
    found = sweep(grid([1, 2, 3, 4, 5, 6], [32, 64, 96, 128, 160, 192]), run_of(lambda *_: False, []))
    left = [point for point in found.cases if found.record(point) is None]
    assert left
    drawn = ElementTree.fromstring(svg(found))
    titles = [title.text or "" for title in drawn.iter("{http://www.w3.org/2000/svg}title")]
    assert sum("not tried" in title for title in titles) == len(left)
    assert "were not tried" in html([found])


def test_map_of_a_target_is_drawn_as_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", HERE)
    monkeypatch.chdir(tmp_path)
    words = (
        "search sweep planted:Net --target planted:BATCHES --batch 1,2,3 --resolution 32,96 --output map.html --json"
    )
    done = CliRunner().invoke(app, words.split())
    assert done.exit_code == 0, done.output
    (found,) = json.loads(done.stdout)
    assert found["borders"] == ["32x32: batch 1 to 2 pass, 3 wrong", "96x96: batch 1 to 3 wrong"]
    assert "<svg" in (tmp_path / "map.html").read_text()
    assert len(list(Path("matrices/records").glob("*.jsonl"))) == 1, "what was run has its record"


@pytest.mark.parametrize(
    ("target", "settings", "lines"),
    [
        (
            "onnxruntime",
            ("opt-basic", *without(["PadFusion"])),
            [
                "options = onnxruntime.SessionOptions()",
                "options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC",
                "session = onnxruntime.InferenceSession('model.onnx', options, disabled_optimizers=['PadFusion'])",
            ],
        ),
        (
            "inductor",
            ("no-patterns", *without(["aten.mean.dim", "fusion", "remove_noop_ops"])),
            [
                "from torch._inductor.lowering import fallback_handler, lowerings",
                "lowerings[torch.ops.aten.mean.dim] = fallback_handler(torch.ops.aten.mean.dim)",
                "compiled = torch.compile(model, options={'pattern_matcher': False, 'max_fusion_size': 1, "
                "'disabled_passes': 'remove_noop_ops'})",
            ],
        ),
        ("xla", ("opt0", *without(["algsimp", "cse"])), ['export XLA_FLAGS="--xla_backend_optimization_level=0 '
            '--xla_disable_hlo_passes=algsimp,cse"']),
        ("openvino", ("avx2", "no-snippets"), ["export ONEDNN_MAX_CPU_ISA=AVX2",
            "compiled = openvino.Core().compile_model(model, 'CPU', {'SNIPPETS_MODE': 'DISABLE'})"]),
    ],
)  # fmt: skip
def test_snippet_says_it_in_the_targets_own_words(target: str, settings: tuple[str, ...], lines: list[str]) -> None:
    found = load_target(target).snippet(Column(target, settings=settings), "float32")
    assert found.replace('"model.onnx"', "'model.onnx'").replace('"CPU"', "'CPU'").splitlines() == lines
