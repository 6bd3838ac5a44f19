"""Every architecture of a source comes to a state, is looked at once, and is shown; a planted defect is found."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as DeadlineExceeded
from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime, timezone
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from cells import like
from pebble import ProcessExpired
from test_records import record
from torch import nn
from typer.testing import CliRunner

from conformance.cases.case import FORWARD
from conformance.cases.outcome import MODEL, Stage, Status
from conformance.commands.cli import app
from conformance.core.errors import UserError
from conformance.results.records import read_records
from conformance.survey import child
from conformance.survey import run as running
from conformance.survey.families import Outline, outline, smallest
from conformance.survey.results import Lines, Place, State, Struck, Surveyed
from conformance.survey.run import Question, Survey
from conformance.survey.tables import Tables, as_html, as_json, as_markdown
from conformance.survey.verdicts import key, verdicts
from conformance.systems.zoo import SOURCES, Source

SDKS = ("2.29.1", "2.33")
EXPECTED = {
    "crashes": (State.CRASH, "ended with 3"),
    "decides": (State.NOT_EXPORTED, "GuardOnDataDependentSymNode"),
    "hangs": (State.TIMEOUT, "after"),
    "healthy": (State.LINTED, None),
    "needs-too-much": (State.TOO_LARGE, "memory"),
    "prints": (State.LINTED, None),
    "splits": (State.LINTED, None),
    "unbuildable": (State.NOT_BUILT, "toykernels is not installed"),
}


@pytest.fixture(scope="module")
def toys_known() -> Iterator[None]:
    """The toy zoo is a source."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SOURCES, "toys", Source("torch", "zoo", "Apache-2.0", "toy_zoo"))
        yield


def question(match: str = "*") -> Question:
    return Question(("toys",), SDKS, ("inf2", "trn2"), (match,))


class Here:
    """A pool whose processes are this one."""

    def schedule(self, function: Callable[..., Any], args: list[Any], timeout: float) -> Future[Any]:
        done: Future[Any] = Future()
        done.set_result(function(*args))
        return done


def surveyed(path: Path, asked: Question) -> tuple[dict[str, Surveyed], list[str]]:
    """The lines by name, and the names of those that were made now."""
    made: list[str] = []
    lines = Survey(asked, Lines(path), workers=2, timeout=6).run(
        tell=lambda line, done, of: made.append(line.name), say=made.append
    )
    return {line.name: line for line in lines}, made


@pytest.fixture(scope="module")
def all_toys(toys_known: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Surveyed]]:
    path = tmp_path_factory.mktemp("survey") / "survey.jsonl"
    return path, surveyed(path, question())[0]


@pytest.mark.parametrize("name", EXPECTED)
def test_every_architecture_comes_to_a_state(all_toys: tuple[Path, dict[str, Surveyed]], name: str) -> None:
    lines = all_toys[1]
    assert set(lines) == set(EXPECTED)
    state, why = EXPECTED[name]
    assert lines[name].state is state
    assert why is None or why in (lines[name].why or "")
    assert "\n" not in (lines[name].why or "")


def test_planted_defect_is_found_where_it_is(all_toys: tuple[Path, dict[str, Surveyed]]) -> None:
    lines = all_toys[1]
    (struck,) = lines["splits"].defects
    assert struck.defect == "split-with-sizes"
    assert struck.places == (Place(module="", operator="split_with_sizes", shape=(1, 8, 14, 22)),)
    assert "slice" in struck.workarounds
    assert set(struck.columns) <= set(lines["splits"].columns)
    assert lines["healthy"].defects == ()


def test_it_says_what_lint_says(all_toys: tuple[Path, dict[str, Surveyed]]) -> None:
    asked = ["lint", "toy_zoo:Splits", "--resolution", "16x24", "--hardware", "trn2", "--sdk", "2.33", "--json"]
    said = {
        (one["defect"], one["module"], one["operator"]) for one in json.loads(CliRunner().invoke(app, asked).stdout)
    }
    found = all_toys[1]["splits"].defects
    assert said == {(one.defect, place.module, place.operator) for one in found for place in one.places}


def test_what_was_cut_off_is_made_again_and_nothing_else(
    all_toys: tuple[Path, dict[str, Surveyed]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = all_toys[0].read_bytes().split(b"\n")
    here = tmp_path / "survey.jsonl"
    monkeypatch.setattr(Survey, "_pool", lambda survey: nullcontext(Here()))
    good = [line for line in whole if b'"name":"healthy"' not in line and line]
    cut = next(line for line in whole if b'"name":"healthy"' in line)
    here.write_bytes(b"\n".join([*good, cut[:40]]))
    lines, made = surveyed(here, question())
    assert set(lines) == set(EXPECTED)
    assert made == [
        f"{here}:{len(good) + 1} is no line of a survey: set aside",
        "7 of 8 were there already",
        "healthy",
    ]
    assert here.read_bytes().endswith(b"\n")


@pytest.mark.parametrize(
    ("change", "again"),
    [
        ({}, False),
        ({"revision": "0.1.0+g0000000"}, True),
        ({"versions": {"torch": "1.0"}}, True),
        ({"batch": 2}, True),
        ({"asked": "32x32"}, True),
        ({"columns": ("2.29.1/inf2",)}, True),
        ({"columns": ("2.28.0/inf2", "2.29.1/inf2", "2.29.1/trn2", "2.33.0/inf2", "2.33.0/trn2")}, False),
        ({"state": State.SUITE_ERROR}, True),
        ({"state": State.NOT_EXPORTED}, False),
    ],
)
def test_what_other_versions_made_is_made_again(toys_known: None, change: dict[str, object], again: bool) -> None:
    (job,) = question().jobs("toys", ["healthy"])
    line = job.surveyed(State.LINTED).model_copy(update=change)
    assert job.is_answered_by(line) is not again


def expired(code: int) -> ProcessExpired:
    return ProcessExpired("", code=code)  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(
    ("error", "state", "why"),
    [
        (KeyError("a bug"), State.SUITE_ERROR, "KeyError: 'a bug'"),  # no state of the architecture's
        (expired(-9), State.TOO_LARGE, "its process was killed, as where there is no memory left"),
        (expired(-11), State.CRASH, "its process ended with -11"),
        (DeadlineExceeded(), State.TIMEOUT, "after 9 s"),
    ],
)
def test_what_a_process_dies_of_is_a_state(toys_known: None, error: Exception, state: State, why: str) -> None:
    (job,) = question("healthy").jobs("toys", ["healthy"])
    task: Future[str] = Future()
    task.set_exception(error)
    line = running._answer(job, task, 9)
    assert (line.state, line.why) == (state, why)


def test_resolution_is_not_that_of_one_that_takes_no_other(toys_known: None) -> None:
    asked = replace(question(), resolution=(32, 32))
    lines = [Surveyed.model_validate_json(child.survey(job)) for job in asked.jobs("toys", ["healthy", "splits"])]
    assert [line.resolution for line in lines] == ["32x32", "16x24"]


def test_nothing_to_look_at_is_wrong_input(toys_known: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Survey, "_pool", lambda survey: nullcontext(Here()))
    with pytest.raises(UserError, match="no architecture of toys is like 'nobody'"):
        surveyed(tmp_path / "survey.jsonl", question("nobody"))


def test_two_surveys_do_not_write_to_one_file(toys_known: None, tmp_path: Path) -> None:
    with running._alone(tmp_path / "survey.jsonl"), pytest.raises(UserError, match="another survey writes to"):
        surveyed(tmp_path / "survey.jsonl", question())


def test_a_family_is_of_the_same_kinds_of_layers_whatever_their_number() -> None:
    def net(width: int, *more: nn.Module, kernel: int = 3, groups: int = 1) -> nn.Module:
        return nn.Sequential(nn.Conv2d(width, width, kernel, groups=groups), *more)

    nets = {
        "wide": net(16),
        "narrow": net(8),
        "deep": net(8, nn.Conv2d(8, 8, 3)),
        "larger-kernel": net(16, kernel=5),
        "depthwise": net(16, groups=16),
        "activated": net(16, nn.ReLU()),
    }
    outlines = [outline(name, module) for name, module in nets.items()]
    assert smallest([*outlines, Outline("unbuildable"), Outline("unbuildable too")]) == [
        *("narrow", "larger-kernel", "depthwise", "activated", "unbuildable", "unbuildable too")
    ]


def test_only_the_smallest_of_a_family_is_looked_at(
    toys_known: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Survey, "_pool", lambda survey: nullcontext(Here()))
    lines, made = surveyed(tmp_path / "survey.jsonl", replace(question("[hdu]*[a-z]y"), smallest=True))
    assert made == ["toys: 1 architectures are of 1 families", "healthy"]
    assert set(lines) == {"healthy"}


class Rows(HTMLParser):
    """Attributes of the rows and headings of a page, and what it would load."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.rows: list[dict[str, str | None]] = []
        self.sortable = 0
        self.fields: set[str | None] = set()
        self.loaded: list[str | None] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "tr" and "data-source" in found:
            self.rows.append(found)
        self.sortable += tag == "table" and found.get("class") == "sortable"
        if tag in ("select", "input"):
            self.fields.add(found.get("name"))
        self.loaded += [found[name] for name in ("src", "href") if tag in ("script", "link", "img") and name in found]


@pytest.fixture
def tables(all_toys: tuple[Path, dict[str, Surveyed]]) -> Tables:
    return Tables(tuple(all_toys[1].values()), NOW)


def test_page_has_a_row_for_each_and_asks_for_nothing(tables: Tables) -> None:
    page = Rows(as_html(tables))
    assert {(row["data-source"], row["data-state"]) for row in page.rows} == {
        ("toys", state.value) for state, _ in EXPECTED.values()
    }
    assert len(page.rows) == len(EXPECTED)
    assert [row["data-defects"] for row in page.rows if row["data-defects"]] == ["split-with-sizes"]
    assert page.sortable == 2
    assert page.fields == {"text", "source", "state", "defect"}
    assert page.loaded == ["data:,"]


def test_no_text_of_others_is_markup(tables: Tables) -> None:
    evil = "<script>alert(1)</script> | x"
    one = tables.lines[0].model_copy(update={"name": evil, "state": State.NOT_BUILT, "why": evil})
    marked = replace(tables, lines=(one,))
    assert "<script>alert" not in as_html(marked)
    assert "<script>" not in as_markdown(marked)
    assert r"\| x" in as_markdown(marked)


def test_markdown_and_json_have_every_state_and_place(tables: Tables) -> None:
    text = as_markdown(tables)
    for name, (state, why) in EXPECTED.items():
        assert f"| {name} |" in text
        assert state is State.LINTED or state.value in text
        assert why is None or why in text
    content = json.loads(as_json(tables))
    assert content["columns"] == ["2.29.1/inf2", "2.29.1/trn2", "2.33.0/inf2", "2.33.0/trn2"]
    (splits,) = (one for one in content["architectures"] if one["name"] == "splits")
    assert splits["defects"][0]["places"] == [
        {"module": "", "operator": "split_with_sizes", "shape": [1, 8, 14, 22]},
    ]
    assert sum(content["states"]["toys"].values()) == len(EXPECTED)


def test_column_that_was_not_looked_up_says_so(tables: Tables) -> None:
    more = tables.lines[0].model_copy(
        update={"name": "other", "state": State.LINTED, "columns": ("2.28.0/inf2",), "defects": ()}
    )
    assert "not looked up" in as_markdown(replace(tables, lines=(*tables.lines, more)))


def test_defect_that_is_not_known_here_is_shown(tables: Tables) -> None:
    struck = Struck(defect="theirs", columns=("2.29.1/inf2",), count=1, places=(), workarounds=())
    one = tables.lines[0].model_copy(update={"state": State.LINTED, "defects": (struck,)})
    for form in (as_html, as_markdown, as_json):
        assert "theirs" in form(replace(tables, lines=(one,)))


def test_command_writes_the_tables_of_what_is_there(
    all_toys: tuple[Path, dict[str, Surveyed]], tmp_path: Path
) -> None:
    (tmp_path / "survey.jsonl").write_bytes(all_toys[0].read_bytes())
    done = CliRunner().invoke(app, ["survey", "--of", "toys", "--render", "--output", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert "split-with-sizes: 1 in 2.29.1/inf2" in done.stdout
    assert {path.name for path in tmp_path.iterdir()} == {f"survey.{end}" for end in ("jsonl", "md", "json", "html")}
    as_text = CliRunner().invoke(app, ["survey", "--of", "toys", "--render", "--output", str(tmp_path), "--json"])
    assert len(json.loads(as_text.stdout)["architectures"]) == len(EXPECTED)


NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)
LINE = Surveyed(
    source="timm",
    name="test_resnet.r160_in1k",
    state=State.LINTED,
    batch=1,
    asked=None,
    columns=("2.29.1/inf2",),
    versions={"torch": "2.13.0"},
    revision="1",
)
RUN = like(
    record("timm-test_resnet"),
    system="timm",
    variant="test_resnet.r160_in1k",
    task=FORWARD,
    target="openvino",
    defects=[],
)
WRONG = like(RUN, status=Status.WRONG, defects=["split-with-sizes"], first_bad_layer="layer1", target="xla")


def test_records_are_shown_beside_what_was_looked_up() -> None:
    helped = like(WRONG, status=Status.PASS, workarounds=("slice",))
    ours = like(RUN, status=Status.SUITE_ERROR, target="inductor")
    alone = like(RUN, status=Status.WRONG, layer="layer1", target="onnxruntime")
    tables = Tables((LINE,), NOW, verdicts([RUN, WRONG, helped, ours, alone]))
    assert tables.targets == ["openvino", "xla"]
    assert {target: dict(counts) for target, counts in tables.counts.items()} == {
        "openvino": {"right": 1}, "xla": {"wrong": 1},
    }  # fmt: skip
    said = "wrong in compare, first in layer1: split-with-sizes; right with slice"
    assert [verdict.summary for verdict in tables.on(LINE, "xla")] == [said]
    assert said in as_markdown(tables)
    assert said in as_html(tables)
    (line,) = json.loads(as_json(tables))["architectures"]
    assert [(one["target"], one["status"]) for one in line["judged"]] == [("openvino", "pass"), ("xla", "wrong")]
    assert "Compiled and run" not in as_markdown(Tables((LINE,), NOW))


def test_model_that_nobody_can_judge_is_no_failure_of_a_target() -> None:
    own = like(RUN, status=Status.ERROR, stage=Stage.CAPTURE, signature=MODEL, detail="its output has no one shape")
    tables = Tables((LINE,), NOW, verdicts([own]))
    assert {target: dict(counts) for target, counts in tables.counts.items()} == {"openvino": {"not judged": 1}}
    assert "not judged: its output has no one shape" in as_markdown(tables)


def test_architecture_of_any_name_is_found_among_records() -> None:
    assert key("transformers:facebook/detr-resnet-50") == "transformers:facebook-detr-resnet-50"
    assert key("transformers:segformer:semantic-segmentation") == "transformers:segformer-semantic-segmentation"
    assert key("toys:healthy") == "toys:healthy"


@pytest.mark.slow
def test_small_ones_are_run_once_on_every_target(tmp_path: Path) -> None:
    asked = ["survey", "--of", "timm", "--match", "test_resnet,test_vit3", "--output", str(tmp_path), "--resolution",
             "64", "--target", "openvino", "--million", "0.6", "--records", str(tmp_path / "records")]  # fmt: skip
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 0, done.output
    found = read_records(tmp_path / "records")
    assert {one.subject.variant for one in found} == {"test_resnet"}
    assert found[0].status is Status.PASS
    assert "openvino: 1 right" in done.stdout
    before = (tmp_path / "records").stat().st_mtime_ns
    again = CliRunner().invoke(app, asked)
    assert "openvino: 1 right" in again.stdout
    assert (tmp_path / "records").stat().st_mtime_ns == before  # nothing was run
