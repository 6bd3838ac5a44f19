"""The benchmark of power: every kind of fault is what it says, every gate can turn red and green, sums are right."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from io import StringIO
from math import nan
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from rich.console import Console
from torch import Tensor, nn
from toys import Toy
from typer import Typer
from typer.testing import CliRunner

from benchmarks.power import corruptions, gates, healthy, run, tally
from benchmarks.power import report as show
from benchmarks.power.__main__ import main
from benchmarks.power.calls import alike
from benchmarks.power.edits import Fault, after
from benchmarks.power.examine import _alone, examine
from benchmarks.power.faults import BY_NAME, KINDS, Kind, kinds_at
from benchmarks.power.findings import Cell, Finding, Results
from benchmarks.power.gates import GATES, Given
from benchmarks.power.json_file import About, as_json
from benchmarks.power.mutants import Mutant, draw, draw_all
from benchmarks.power.report import as_markdown
from benchmarks.power.run import Checkpoint
from benchmarks.power.sites import Site
from benchmarks.power.systems import Entry
from benchmarks.power.testbed import Testbed, make_testbed
from conformance.cases.outcome import Status
from conformance.compare.limits import limit
from conformance.core.errors import UserError
from conformance.running.judgement import RunOutputs
from conformance.systems.protocol import Model

SHAPE = (2, 16, 24)
ABOUT = About("torch 0", 0, "python -m benchmarks.power")


class AttentionNet(nn.Module):
    """(B, 3, H, W) to (B, 9, H * W / 4): something of everything that faults are planted in."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.SiLU())
        self.qkv = nn.Conv2d(8, 24, 1)
        self.down = nn.Conv2d(8, 8, 3, stride=2, padding=1)
        self.up = nn.Upsample(scale_factor=2, mode="nearest")
        self.head = nn.Conv2d(16, 9, 1)

    def forward(self, x: Tensor) -> Tensor:
        stem = self.stem(x)
        q, k, v = self.qkv(stem).flatten(2).split([8, 8, 8], dim=1)
        weights = ((q.transpose(1, 2) @ k) * 3.0).softmax(-1)
        mixed = (v @ weights.transpose(1, 2)).view_as(stem)
        low, high = (stem + mixed).chunk(2, 1)
        joined = torch.cat([self.up(self.down(torch.cat([high, low], 1))), stem], 1)
        boxes, scores = self.head(joined).flatten(2).tensor_split([4], 1)
        return torch.cat([boxes.exp() * 4 + torch.arange(boxes.shape[-1]), (scores * 3).sigmoid()], 1)


class AttentionToy(Toy):
    """Its layers are those of the net above."""

    name = "attention-toy"

    def layers(self, variant: str, task: str) -> tuple[str, ...]:
        return ("stem", "qkv", "down", "up", "head")

    def build(self, variant: str, task: str) -> Model:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            module = AttentionNet().eval().requires_grad_(False)
        return Model(module, self.layers("", ""), "attention")


ENTRY = Entry("toy", "test_power:AttentionToy", "1", "detect", None, "cells", SHAPE, (SHAPE,))


@cache
def _testbed() -> Testbed:
    return make_testbed(ENTRY, "float32")


@pytest.fixture
def testbed() -> Testbed:
    return _testbed()


def only(kind: str, testbed: Testbed, seed: int = 0) -> Mutant:
    (mutant,) = draw(BY_NAME[kind], testbed.sites, 1, Random(seed))
    return mutant


def planted(testbed: Testbed, plant: Fault, node: str, keeps: bool = False) -> Mutant:
    kind = Kind("made for a test", lambda site, random: plant, keeps=keeps)
    return Mutant(kind, node, "", plant.detail, plant.edit, node)


@pytest.mark.parametrize("kind", [kind.name for kind in KINDS])
def test_every_kind_is_planted_and_caught(kind: str, testbed: Testbed) -> None:
    found = [examine(testbed, mutant) for mutant in draw(BY_NAME[kind], testbed.sites, 6, Random(1))]
    real = [finding for finding in found if not finding.benign]
    assert real
    assert all(finding.kind == kind for finding in found)
    assert sum(gates.OURS in finding.caught for finding in real) >= 0.5 * len(real)
    assert all(finding.layer in ("", *(layer.path for layer in testbed.comparison.layers)) for finding in found)


X = torch.arange(2 * 4 * 2 * 3, dtype=torch.float32).reshape(2, 4, 2, 3)


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        (corruptions.image_copied(X, 1, 0), torch.stack([X[0], X[0]])),
        (corruptions.images_reversed(X), X[[1, 0]]),
        (corruptions.channels_swapped(X, 0, 2, 2), X[:, [2, 3, 0, 1]]),
        (corruptions.shifted(X, 3, 1), X[..., [1, 2, 2]]),
        (corruptions.shifted(X, 1, -1), X[:, [0, 0, 1, 2]]),
        (corruptions.scaled(X, 1.01), X * 1.01),
        (corruptions.rounded(X + 1 + 1e-4), X + 1),
        (corruptions.upsampled_by_tiling(X, None, [2.0, 2.0]), X.tile(1, 1, 2, 2)),
        (corruptions.upsampled_late(X, [2, 3], None), X[:, :, [1, 1]][..., [1, 2, 2]]),
        (corruptions.permuted_densely(X, [0, 2, 1, 3]), X.reshape(2, 2, 4, 3)),
        (corruptions.transposed_densely(X, 1, -1), X.reshape(2, 3, 2, 4)),
        (corruptions.chunks_read_densely(X, 2, 1)[1].flatten(), torch.arange(12.0, 36.0)),
    ],
)
def test_corruption_is_what_it_says(wrong: Tensor, right: Tensor) -> None:
    assert torch.equal(wrong, right)


def test_corruption_of_a_part_leaves_the_rest() -> None:
    block = corruptions.zeroed(X, ((1, 2), (0, 4), (0, 1), (1, 3)))
    assert torch.equal(block[0], X[0])
    assert not block[1, :, 0, 1:].any()
    assert torch.equal(block[1, :, 1], X[1, :, 1])
    value = corruptions.replaced(X.transpose(2, 3), 5, nan)
    assert int(value.isnan().sum()) == 1
    assert torch.equal(X, torch.arange(48.0).reshape(X.shape))
    scores = torch.ones(2, 6, 100)
    damped = corruptions.damped(scores, 1, 4, 6, 0.55, 0.5, seed=3)
    assert torch.equal(damped[:, :4], scores[:, :4])
    assert int((damped[0, 5] == 0.5).sum()) == 55


def test_previous_gives_what_was_given_before() -> None:
    held = corruptions.Previous()
    assert [float(held(torch.tensor(value))) for value in (1.0, 2.0, 3.0)] == [1.0, 1.0, 2.0]
    fresh = corruptions.Previous()
    fresh(torch.tensor(1.0)).add_(1)
    assert float(fresh(torch.tensor(2.0))) == 1.0, "what is done to an output in place is not done to what is held"


@pytest.mark.parametrize(
    ("kind", "gone", "there"),
    [
        ("dense-stride split", ("split_with_sizes.default", "chunk.default"), "densely"),
        ("transpose without strides", ("transpose.int",), "transposed_densely"),
        ("dropped residual", ("add.Tensor",), None),
        ("wrong upsample", ("upsample_nearest2d.vec",), "upsampled"),
        ("bf16 where fp32 was asked", (), "rounded"),
        ("stale output", (), "held"),
        ("zeroed scores", (), "zeroed"),
    ],
)
def test_edit_changes_the_operator(kind: str, gone: tuple[str, ...], there: str | None, testbed: Testbed) -> None:
    def names(program: Any) -> list[str]:
        return [str(getattr(node.target, "__name__", node.target)) for node in program.graph.nodes]

    before, after_ = names(testbed.healthy), names(only(kind, testbed).program(testbed.healthy))
    if gone:
        assert sum(map(before.count, gone)) == sum(map(after_.count, gone)) + 1
    assert there is None or any(there in name for name in after_)
    assert names(testbed.healthy) == before, "the graph without the fault is not touched"


@pytest.mark.parametrize(
    ("kind", "target", "place", "value"),
    [("dropped bias", "conv2d.default", 2, None), ("softmax over the wrong axis", "softmax.int", 1, 1)],
)
def test_edit_changes_the_argument(kind: str, target: str, place: int, value: object, testbed: Testbed) -> None:
    mutant = only(kind, testbed)
    node = next(n for n in mutant.program(testbed.healthy).graph.nodes if n.name == mutant.node)
    before = next(n for n in testbed.healthy.graph.nodes if n.name == mutant.node)
    assert node.target.__name__ == target
    assert node.args[place] == value != before.args[place]


def test_scale_of_attention_is_left_out_or_twice(testbed: Testbed) -> None:
    found = draw(BY_NAME["missing scale in attention"], testbed.sites, 9, Random(0))
    assert {mutant.detail for mutant in found} == {"no factor 3", "factor 3 twice"}
    assert len({mutant.node for mutant in found}) == 1, "the factor of the scores is none of an attention"


def test_bfloat16_strikes_an_operator_a_layer_or_all(testbed: Testbed) -> None:
    found = draw(BY_NAME["bf16 where fp32 was asked"], testbed.sites, 99, Random(0))
    rounds = {mutant.site: str(mutant.program(testbed.healthy).graph).count("rounded") for mutant in found}
    products = sum(mutant.detail == "one operator" for mutant in found)
    assert products == 6
    assert rounds["the whole model"] > rounds["stem"] >= rounds["conv2d"] > 0


def test_drawing_is_by_the_seed_and_spread_over_the_layers(testbed: Testbed) -> None:
    one, two, other = (draw_all(testbed.sites, 5, seed) for seed in ("0", "0", "1"))
    described = [[(mutant.kind.name, mutant.site, mutant.detail) for mutant in found] for found in (one, two, other)]
    assert described[0] == described[1] != described[2]
    assert len(set(described[0])) == len(described[0])
    gains = draw(BY_NAME["1 % gain"], testbed.sites, 5, Random(0))
    assert len({mutant.layer for mutant in gains}) == 5


def test_what_was_asked_for_is_no_fault() -> None:
    names = [{kind.name for kind in kinds_at(dtype)} for dtype in ("float32", "matmult-bf16", "bfloat16")]
    assert names[0] - names[1] == names[0] - names[2] == {"bf16 where fp32 was asked"}


def test_fewer_are_drawn_where_there_are_not_so_many(testbed: Testbed) -> None:
    assert len(draw(BY_NAME["dropped residual"], testbed.sites, 50, Random(0))) == 2
    sites = [replace(site, scores=None) for site in testbed.sites]
    assert not draw(BY_NAME["zeroed scores"], sites, 50, Random(0)), "where there are no scores none are zeroed"


def test_edit_that_changes_nothing_is_benign(testbed: Testbed) -> None:
    found = examine(testbed, planted(testbed, Fault("times one", after(corruptions.scaled, 1.0)), "silu"))
    assert found.benign
    assert not found.caught
    assert found.changes_detections is False


def test_edit_that_changes_other_images_only_is_hidden(testbed: Testbed) -> None:
    """A value that is read wrong where the compared images have it right by chance."""
    others = ((outputs[0] + 1,) for outputs in testbed.answers[1:])
    healthy = replace(testbed, answers=(testbed.other_answer, *others))
    found = examine(healthy, planted(testbed, Fault("times one", after(corruptions.scaled, 1.0)), "silu"))
    assert found.hidden
    assert not found.benign


def test_faults_that_matter_are_told_by_detections(testbed: Testbed) -> None:
    assert testbed.found is not None
    assert sum(len(image) for batch in testbed.found for image in batch[0]) > 10
    assert examine(testbed, only("zeroed scores", testbed, seed=2)).changes_detections
    tiny = examine(testbed, planted(testbed, Fault("", after(corruptions.scaled, 1 + 1e-6)), "silu"))
    assert tiny.changes_detections is False
    assert not tiny.benign
    blind = replace(testbed, found=None)
    assert examine(blind, only("1 % gain", blind)).changes_detections is None


def inside(testbed: Testbed) -> list[Site]:
    """The sites in layers."""
    return [site for site in testbed.sites if site.layer and site.node.name in testbed.alone[site.layer].names]


def test_fault_is_planted_in_the_layer_alone_too(testbed: Testbed) -> None:
    for mutant in draw_all(inside(testbed), 2, "0"):
        one = testbed.alone[mutant.layer]
        program = mutant.program(one.healthy, one.names[mutant.node])
        assert str(program.graph) != str(one.healthy.graph), mutant.kind.name
        assert len(program.graph.nodes) < len(testbed.healthy.graph.nodes)
    (outcome,) = _alone(testbed, only("dropped bias", testbed))
    assert outcome.status == Status.WRONG
    assert [layer.how for layer in outcome.layers] == ["isolated"]
    assert not _alone(testbed, replace(only("dropped bias", testbed), layer=""))


def test_stale_output_is_seen_by_asking_again_alone(testbed: Testbed) -> None:
    """Warmed with other images the first call is wrong; warmed with the same only the call after others is."""
    warmed, unnoticed = (
        examine(testbed, only(kind, testbed))
        for kind in ("stale output", "stale output, warmed with the same images")
    )
    assert {"ours", "assert_close"} <= set(warmed.caught)
    assert not warmed.apart
    assert set(unnoticed.caught) == {"ours", "ours, whole model", "ours, outputs only"}
    assert unnoticed.apart


def spoiled(testbed: Testbed, change: Callable[[Tensor], Tensor]) -> Given:
    return testbed.given(
        alike(testbed.comparison, tuple(map(change, testbed.answer)), tuple(map(change, testbed.other_answer)))
    )


@pytest.mark.parametrize("gate", GATES, ids=lambda gate: gate.name)
def test_gate_turns_red_and_green(gate: gates.Gate, testbed: Testbed) -> None:
    if reason := gate.missing():
        pytest.skip(reason)
    assert gate.passes(testbed.given(alike(testbed.comparison, testbed.answer, testbed.other_answer)))
    assert not gate.passes(spoiled(testbed, lambda y: -y))
    assert not gate.passes(spoiled(testbed, lambda y: corruptions.replaced(y, 5, nan)))


@pytest.mark.parametrize(
    ("gate", "still_right", "wrong"),
    [
        ("PCC", 1.02, None),
        ("assert_close", 1 + 1e-7, 1 + 1e-4),
        ("allclose 1e-2", 1.005, 1.03),
        ("Polygraphy", 1 + 1e-6, 1 + 1e-4),
        ("fp64 RMSE", 1 + 1e-5, 1.01),
        ("ours", 1.0, 1 + 1e-5),
    ],
)
def test_gate_allows_what_its_rule_allows(
    gate: str, still_right: float, wrong: float | None, testbed: Testbed
) -> None:
    found = next(one for one in GATES if one.name == gate)
    if reason := found.missing():
        pytest.skip(reason)
    assert found.passes(spoiled(testbed, lambda y: y * still_right))
    assert wrong is None or not found.passes(spoiled(testbed, lambda y: y * wrong))


def test_ours_looks_at_layers_and_at_every_call(testbed: Testbed) -> None:
    right = alike(testbed.comparison, testbed.answer, testbed.other_answer)
    layer = replace(right, tapped=(*testbed.answer[:2], testbed.answer[2] * 1.5, *testbed.answer[3:]))
    assert gates.flagged(testbed.given(layer)) == ("ours", "ours, whole model")
    for call in (1, 2, 3):
        calls = list(right.calls)
        calls[call] = (calls[call][0].flip(0),)
        later = RunOutputs(tuple(calls), right.tapped)
        assert gates.flagged(testbed.given(later)) == ("ours", "ours, whole model", "ours, outputs only")
    (alone,) = _alone(testbed, draw(BY_NAME["channels swapped"], inside(testbed), 1, Random(0))[0])
    assert alone.status == Status.WRONG
    assert gates.flagged(testbed.given(right, lambda: [alone])) == ("ours",)


def test_bed_of_a_model_that_is_not_right_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.power.testbed.flagged", lambda given: ("ours",))
    with pytest.raises(UserError, match="the graph without a fault is not right"):
        make_testbed(ENTRY, "float32")


def test_healthy_cells_of_targets_right_wrong_and_broken() -> None:
    entry = replace(ENTRY, system="toys:Toy")
    found = healthy.cells(entry, "float32", SHAPE, ("toys:HEALTHY", "toys:DAMPED_SCORES", "toys:REFUSES"), 2)
    right, damped, refused = ([cell for cell in found if cell.target == f"toys:{name}"] for name in
                              ("HEALTHY", "DAMPED_SCORES", "REFUSES"))  # fmt: skip
    assert [cell.images for cell in right] == [0, 2]
    assert not any(cell.flagged or cell.error for cell in right)
    assert all("ours" in cell.flagged for cell in damped)
    assert len(refused) == 1
    assert "NCC_EVRF029" in str(refused[0].error)


def finding(kind: str, *caught: str, changes: bool | None = False, **others: Any) -> Finding:
    made = Finding("toy", "float32", kind, "conv2d", "stem", "what", caught, changes, ratio=3.0)
    return replace(made, **others)


RESULTS = Results(
    findings=(
        finding("gain", "ours", "PCC", changes=True),
        finding("gain", "ours"),
        finding("gain", changes=True),
        finding("tile", "ours", "ours, outputs only", changes=None),
        finding("tile", benign=True),
        finding("stale", "ours", apart=True),
    ),
    cells=(
        Cell("toy", "float32", "a", SHAPE, 0, ("PCC",), 1.5),
        Cell("toy", "float32", "a", SHAPE, 2, (), 0.5),
        Cell("toy", "float32", "b", SHAPE, 0, error="CompileError: no"),
        Cell("toy", "float32", "c", SHAPE, 0, ("ours", "CosSim"), nan),
    ),
)


def test_sums() -> None:
    assert tally.tally(RESULTS, "ours") == tally.Tally(4, 3, 2, 1, 2, 0)
    assert tally.tally(RESULTS, "PCC") == tally.Tally(4, 1, 2, 1, 2, 1)
    assert tally.benign(RESULTS) == {"tile": 1}
    assert tally.only_by_layers(RESULTS) == 2
    assert tally.only_by_layers(RESULTS, "PCC") == 2
    (missed,) = tally.escaped(RESULTS)
    allowed = f"up to {limit('float32').outputs:g} is allowed"
    assert tally.reason(missed).startswith(f"error ratio 3 in the whole model ({allowed}), 0 in the layer")
    assert [goal.reached for goal in tally.goals(RESULTS, "float32")] == [False, False, False]
    many = Results(RESULTS.findings[:1], RESULTS.cells[1:2] * 200)
    assert [goal.reached for goal in tally.goals(many, "float32")] == [True, True, True]
    assert [goal.reached for goal in tally.goals(many, "bfloat16")] == [True, True]
    assert not any(goal.reached for goal in tally.goals(Results(), "float32"))


def test_answer_that_is_not_finite_is_no_healthy_cell_where_the_cosine_says_so_too() -> None:
    broken, alarm = (
        Cell("toy", "float32", "c", SHAPE, 0, flagged, nan) for flagged in (("ours", "CosSim"), ("ours",))
    )
    assert Results(cells=(broken, alarm)).healthy == (alarm,)
    assert "c, images 0, flagged by 2 gates" in as_markdown(Results(cells=(broken,)), ABOUT)


@pytest.mark.parametrize(
    ("part", "whole", "shown"),
    [(1, 1, "100 %"), (1999, 2000, "> 99.9 %"), (1, 3, "33.3 %"), (0, 3, "0 %"), (1, 9999, "< 0.1 %"), (0, 0, "-")],
)
def test_shares_are_not_rounded_to_all_or_nothing(part: int, whole: int, shown: str) -> None:
    assert tally.share(part, whole) == shown


def test_json_has_gates_faults_and_what_escapes() -> None:
    found = json.loads(as_json(RESULTS, ABOUT))
    assert found["gates"]["ours"].items() >= {"planted": 4, "caught": 3, "healthy": 2, "false_alarms": 0}.items()
    assert found["faults"]["gain"]["ours"] == pytest.approx(2 / 3)
    assert found["faults"]["tile"]["PCC"] == 0
    assert set(found["faults"]) == {"gain", "tile"}
    assert set(found["apart"]) == {"stale"}
    assert [one["kind"] for one in found["escaped"]] == ["gain"]
    assert found["dtypes"]["float32"]["gates"]
    json.loads(as_json(replace_ratio(RESULTS), ABOUT), parse_constant=pytest.fail)


def replace_ratio(results: Results) -> Results:
    return Results(tuple(replace(one, ratio=nan) for one in results.findings), results.cells)


def test_markdown_names_everything() -> None:
    text = as_markdown(RESULTS, ABOUT)
    for words in (
        "| ours | 50 % (1/2) | 75 % (3/4) | 0 % (0/2) |",
        "| gain | 3 | 66.7 % (2/3) |",
        "| *apart:* stale | 1 |",
        "Edits that changed no bit of any output, and are not counted, by kind: tile 1.",
        "toy (2, 16, 24) @b: CompileError: no",
        "**not reached**: every fault that changes a detection is caught: 1 of 2",
        "median 1.50, largest of all cells 1.50",
    ):
        assert words in text


def test_gate_without_its_package_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        gates, "missing_packages", lambda needed, name: f"{name} is missing" if "polygraphy" in needed else None
    )
    assert "Polygraphy" not in [gate.name for gate in gates.measured()]
    found = json.loads(as_json(RESULTS, ABOUT))
    assert found["gates"]["Polygraphy"]["caught"] is None
    assert found["gates"]["Polygraphy"]["not_measured"]
    assert "Polygraphy" not in found["faults"]["gain"]
    assert "| Polygraphy | not measured: Polygraphy is missing |" in as_markdown(RESULTS, ABOUT)


def test_run_in_other_processes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(run, "ENTRIES", {"toy": ENTRY})
    plan = run.Plan(("toy",), ("float32",), 1, 0, ("toys:HEALTHY",), 1, 1, workers=1)
    printed = StringIO()
    checkpoint = Checkpoint(tmp_path / "checkpoint.jsonl")
    found = run.run_plan(plan, Console(file=printed), checkpoint)
    assert len(found.findings) == len(KINDS)
    assert len(found.cells) == 1
    assert found.dtypes == ("float32",)
    assert "toy float32, healthy at b2/16x24: 0 false alarms in 1 cells" in printed.getvalue()
    monkeypatch.setattr(run, "perform", lambda job: pytest.fail(f"{job} is done"))
    again = run.run_plan(plan, Console(file=StringIO()), checkpoint)
    assert again.cells == found.cells
    assert [one.caught for one in again.findings] == [o.caught for o in found.findings]
    assert set(checkpoint.read()) == set(map(run.key, run.jobs(plan)))
    assert len(checkpoint.read().keys() & map(run.key, run.jobs(replace(plan, seed=1)))) == 1  # a cell draws nothing
    monkeypatch.setattr(run, "limit", lambda dtype: limit(dtype).model_copy(update={"outputs": 1.0}))
    assert not checkpoint.read().keys() & set(map(run.key, run.jobs(plan)))
    show.print_results(found, Console(file=printed, width=150))
    assert "not reached: no false alarm in at least 200 healthy cells: 0 false alarms in 1" in printed.getvalue()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--systems", "yolo26n-detct"], "unknown system 'yolo26n-detct'"),
        (["--targets", "openvinno"], "unknown target 'openvinno'; did you mean 'openvino'?"),
        (["--dtypes", "float8"], "dtype 'float8' cannot be judged"),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], message: str, tmp_path: Path) -> None:
    app = Typer()
    app.command()(main)
    done = CliRunner().invoke(app, ["--quick", "--output", str(tmp_path), *arguments])
    assert done.exit_code == 2
    assert message in done.output
    assert not list(tmp_path.iterdir())
