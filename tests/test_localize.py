"""From a case that is not right to what is to blame for it: parts of its graph, compiled and judged like a case."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import planted
import pytest
import torch
from cells import like
from torch import Tensor, nn
from typer.testing import CliRunner

from conformance.cases.span import Span, is_span, parse_span
from conformance.checking.case_runner import CaseRunner
from conformance.checking.check import prepared
from conformance.commands.cli import app
from conformance.core.errors import UserError
from conformance.golden.spans import Operators
from conformance.localize.answer import Answer
from conformance.localize.budget import budget
from conformance.localize.localize import localize
from conformance.localize.picture import html, svg
from conformance.localize.search import Kind
from conformance.results.records import RecordWriter
from conformance.running.worker import Worker
from conformance.selection.expand import Chosen
from conformance.selection.model import ModelRequest, find_model

HERE = str(Path(__file__).parent)


@pytest.fixture
def runner(planted_worker: Worker) -> Callable[..., CaseRunner]:
    """What runs the network on a target."""

    def of(target: str, model: str = "Net") -> CaseRunner:
        chosen = Chosen(named=True, resolutions=["16"])
        request = ModelRequest(find_model(f"planted:{model}"), (f"planted:{target}",), chosen)
        return CaseRunner(prepared(request, planted_worker), planted_worker, None)

    return of


@pytest.fixture
def localized(runner: Callable[..., CaseRunner]) -> Callable[[str], Answer]:
    """What is to blame on a target."""

    def of(target: str) -> Answer:
        found = runner(target)
        (case,) = found.selection.models
        return localize(found.job(case), found.worker, found.run(case))

    return of


def blamed(answer: Answer) -> list[list[str]]:
    return [[place.target.split(".")[1] for place in places] for places in answer.places]


def test_batch_and_size_from_which_on_it_is_wrong_are_told(localized: Callable[[str], Answer]) -> None:
    answer = localized("OF_TWO")
    assert (answer.from_batch, answer.from_size) == (2, "8x8")
    assert "  from batch 2 on, from 8x8 on" in answer.lines()
    everywhere = localized("OPERATOR")
    assert (everywhere.from_batch, everywhere.from_size) == (1, "1x1")


@pytest.mark.parametrize(
    ("target", "kind", "places"),
    [
        ("OPERATOR", Kind.OPERATOR, [["tanh"]]),
        ("WRITTEN", Kind.OPERATOR, [["silu_"]]),
        ("SPAN", Kind.SPAN, [["tanh", "mul"]]),
        ("CONTEXT", Kind.CONTEXT, [["tanh"]]),
        ("CONTEXT_WRITTEN", Kind.CONTEXT, [["silu_"]]),
        ("DRIFT", Kind.DRIFT, None),
        ("INTERMITTENT", Kind.INTERMITTENT, [["tanh"]]),
    ],
)
def test_planted_fault_is_found(
    localized: Callable[[str], Answer], target: str, kind: Kind, places: list[list[str]] | None
) -> None:
    answer = localized(target)
    assert answer.kind is kind, "\n".join(answer.lines())
    if places is not None:
        assert blamed(answer) == places
        assert answer.places[0][0].line.startswith("tests/planted.py:")
    assert (answer.rate is not None) == (kind is Kind.INTERMITTENT)
    assert "map" in answer.groups
    assert len(answer.evidence) <= answer.compiles


def test_case_that_is_right_is_refused(runner: Callable[..., CaseRunner]) -> None:
    found = runner("RIGHT")
    (case,) = found.selection.models
    with pytest.raises(UserError, match="has not failed"):
        localize(found.job(case), found.worker, found.run(case))


def test_layer_that_is_wrong_within_a_model_that_gives_what_it_should(runner: Callable[..., CaseRunner]) -> None:
    found = runner("NEGATIVE", "Mirrored")
    (case,) = found.selection.models
    record = found.run(case)
    assert (record.outputs_bad, record.first_bad_layer) == (False, "first")
    answer = localize(found.job(case), found.worker, record)
    assert (answer.kind, blamed(answer)) == (Kind.CONTEXT, [["conv2d"]])
    assert answer.places[0][0].module == "first"
    assert "what the model gives is right" in answer.note


def test_what_is_right_now_is_not_reproduced(runner: Callable[..., CaseRunner]) -> None:
    """As it is with what failed once, on another day."""
    wrong, right = runner("OPERATOR"), runner("RIGHT")
    answer = localize(right.job(right.selection.models[0]), right.worker, wrong.run(wrong.selection.models[0]))
    assert (answer.kind, answer.found) == (Kind.NOT_REPRODUCED, False)


def test_command_goes_on_from_a_record(
    runner: Callable[..., CaseRunner], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = runner("OPERATOR")
    (case,) = found.selection.models
    RecordWriter(tmp_path / "run.jsonl").write(found.run(case))
    monkeypatch.setenv("PYTHONPATH", HERE)
    asked = CliRunner().invoke(app, ["localize", case.id, "--records", str(tmp_path)])
    assert asked.exit_code == 0, asked.output
    assert f"... {case.id}" not in asked.stdout.splitlines(), "it is not run again"
    assert "OPERATOR" in asked.stdout
    assert "aten.tanh.default (" in asked.stdout
    wrong = found.run(case)
    other = like(wrong, target="right", command=wrong.command.replace("OPERATOR", "RIGHT"))
    RecordWriter(tmp_path / "right.jsonl").write(other.model_copy(update={"id": other.case.id}))
    nothing = CliRunner().invoke(app, ["localize", other.case.id, "--records", str(tmp_path)])
    assert nothing.exit_code == 1, nothing.output
    assert "NOT REPRODUCED" in nothing.stdout
    both = CliRunner().invoke(app, ["localize", case.id, "--records", str(tmp_path), "--batch", "2"])
    assert both.exit_code == 2
    assert "leave the options out" in both.stderr


class Writes(nn.Module):
    """A view that is written into, while what it is a view of is used."""

    def forward(self, x: Tensor) -> Tensor:
        y = x * 2
        y[:, 0].fill_(1)
        return y + x


def graph_of(module: nn.Module, *inputs: Tensor) -> Operators:
    exported = torch.export.export(module.eval(), inputs, strict=False)
    paths = frozenset(path for path, _ in module.named_modules())
    images = [tuple(x.double() for x in inputs), tuple(x.double() + 1 for x in inputs)]
    return Operators(exported, paths, images, torch.float32)


def test_every_part_gives_what_the_whole_gives_there() -> None:
    torch.manual_seed(0)
    graph = graph_of(planted.Net(), torch.rand(2, 3, 8, 8))
    whole = graph.cut(range(len(graph)))
    assert whole.gives == graph.outputs
    for start in range(len(graph)):
        for stop in range(start + 1, len(graph) + 1):
            part = graph.cut(range(start, stop))
            given = part.module(*part.inputs[0])
            if part.gives == graph.outputs:
                for one, other in zip(given, whole.module(*whole.inputs[0]), strict=True):
                    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
            after = graph.cut(range(stop, len(graph))) if stop < len(graph) else None
            for name, value in zip(part.gives, given, strict=True):
                if after is not None and name in after.takes:
                    torch.testing.assert_close(value, after.inputs[0][after.takes.index(name)], rtol=1e-4, atol=1e-5)


def test_nothing_is_cut_between_a_view_and_what_is_written_into_it() -> None:
    graph = graph_of(Writes(), torch.rand(2, 3, 4))
    assert [one.name for one in graph if not one.apart] == ["fill_"]
    names = [one.name for one in graph]
    first = graph.cut(range(names.index("fill_") + 1))
    assert "mul" in first.gives, "what was written into is handed on"
    torch.testing.assert_close(first.module(*first.inputs[0])[first.gives.index("mul")][:, 0], torch.ones(2, 4))


def test_part_is_computed_where_its_inputs_are() -> None:
    """What a model makes itself names the device of its export in the graph."""
    graph = graph_of(planted.Net(), torch.rand(2, 3, 8, 8))
    whole = graph.cut(range(len(graph)))
    outputs = whole.module.to("meta")(*(x.to("meta") for x in whole.inputs[0]))
    assert {x.device.type for x in outputs} == {"meta"}


@pytest.mark.parametrize("text", ["ops:3", "ops:3-40", "ops:0,2-4,9:cut3", "ops:1-2:show1,2"])
def test_span_says_what_it_is_read_from(text: str) -> None:
    assert str(parse_span(text)) == text
    assert is_span(text)


def test_span_of_neighbours_is_short() -> None:
    assert str(Span((3, 4, 5, 9))) == "ops:3-5,9"


@pytest.mark.parametrize("text", ["ops:", "ops:4-3", "ops:3,3", "3-4", "ops:5,4", "ops:1:cut"])
def test_what_is_no_span_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="ops:"):
        parse_span(text)


@pytest.mark.parametrize("target", ["WRITTEN", "DRIFT"])
def test_error_is_shared_out_among_the_layers(runner: Callable[..., CaseRunner], target: str) -> None:
    found = runner(target)
    (case,) = found.selection.models
    made = budget(found.job(case), found.worker, found.run(case), True, lambda text: None)
    shares = {row.layer: row.share or 0 for row in made.rows}
    assert sum(shares.values()) <= 1 + 1e-6
    if target == "WRITTEN":
        (culprit,) = (layer for layer, share in shares.items() if share > 0.99)
        assert culprit.startswith("body")
        assert max(row.alone or 0 for row in made.rows if row.layer == culprit) > 1e3
        assert made.first_bad_layer == culprit
    else:
        assert sum(share > 0.01 for share in shares.values()) > 1
        assert max(row.alone or 0 for row in made.rows) < 9, "no layer shows it by itself"
    page = html(made)
    assert all(row.layer in page for row in made.rows)
    assert ("<tr class=bad>" in page) == (made.first_bad_layer is not None)
    ElementTree.fromstring(svg(made))


def test_error_of_what_has_none_cannot_be_shared_out(runner: Callable[..., CaseRunner]) -> None:
    found = runner("RIGHT")
    (case,) = found.selection.models
    without = found.run(case).model_copy(update={"layers": []})
    with pytest.raises(UserError, match="there is no error to share out"):
        budget(found.job(case), found.worker, without, True, lambda text: None)
