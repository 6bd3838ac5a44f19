"""What is different between two runs, and what is said of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import pytest
import toys
from cells import changed
from typer.testing import CliRunner

from conformance.cases.outcome import Record, Stage, Status
from conformance.commands.cli import app
from conformance.commands.diff import changes_markdown, summary
from conformance.results.difference import ChangeKind, differences
from conformance.results.records import RecordWriter

NOON = datetime(2026, 11, 21, 12, tzinfo=timezone.utc)


def record(batch: int, status: Status, signature: str | None = None, layer: str | None = None) -> Record:
    case = changed(toys.CASE, batch=batch)
    return Record(
        stage=Stage.COMPILE if signature else Stage.COMPARE, status=status, signature=signature,
        first_bad_layer=layer, id=case.id, case=case, emulated=False, command=f"pytest conformance --case {case.id}",
        started=NOON, finished=NOON, environment={"neuronx-cc": "2.24.8799.0"},
    )  # fmt: skip


BEFORE = [
    record(1, Status.PASS),
    record(2, Status.WRONG, layer="halves"),
    record(3, Status.WRONG, layer="halves"),
    record(4, Status.WRONG, layer="halves"),
    record(5, Status.PASS),
    record(6, Status.WRONG),
    record(7, Status.UNSUPPORTED),
]
AFTER = [
    record(1, Status.ERROR, "NCC_EVRF029"),
    record(2, Status.WRONG, layer="halves"),
    record(3, Status.WRONG, layer="stem"),
    record(4, Status.PASS),
    record(6, Status.NOT_JUDGED),
    record(8, Status.CRASH, "SIGSEGV"),
    record(9, Status.PASS),
]


def test_new_other_fixed_and_no_more_tested_are_told_apart() -> None:
    found = [
        (change.kind, change.record.subject.batch, change.before, change.after)
        for change in differences(BEFORE, AFTER)
    ]
    assert found == [
        (ChangeKind.NEW_FAILURE, 1, "pass in compare", "error in compile (NCC_EVRF029)"),
        (ChangeKind.OTHER_FAILURE, 3, "wrong in compare, first in halves", "wrong in compare, first in stem"),
        (ChangeKind.FIRST_TESTED, 8, None, "crash in compile (SIGSEGV)"),
        (ChangeKind.FIXED, 4, "wrong in compare, first in halves", "pass in compare"),
        (ChangeKind.NOT_TESTED, 6, "wrong in compare", "not_judged in compare"),
        (ChangeKind.NOT_TESTED, 5, "pass in compare", None),
    ]
    assert differences(BEFORE, BEFORE) == []


def test_summary_and_page() -> None:
    changes = differences(BEFORE, AFTER)
    assert summary(changes) == (
        "1 new failure, 1 another failure, 1 first tested and failing, 1 fixed, 2 not tested any more"
    )
    assert changes_markdown(changes).count("\n| ") == 1 + 1 + 6
    assert changes_markdown([]) == "nothing is different.\n"


@pytest.fixture
def diff(tmp_path: Path) -> Callable[..., tuple[int, str]]:
    """The command on two folders of these records."""

    def run(before: list[Record], after: list[Record], *words: str) -> tuple[int, str]:
        for name, records in (("before", before), ("after", after)):
            writer = RecordWriter(tmp_path / name / "records.jsonl")
            for one in records:
                writer.write(one)
        before_after = ["diff", str(tmp_path / "before"), str(tmp_path / "after"), *words]
        done = CliRunner().invoke(app, before_after, env={"COLUMNS": "300"})  # no cell is folded
        return done.exit_code, done.output

    return run


def test_exit_code_is_1_where_a_failure_is_new(diff: Callable[..., tuple[int, str]]) -> None:
    code, said = diff(BEFORE, AFTER, "--json")
    assert code == 1
    assert json.loads(said)[0] == {
        "what": "new failure",
        "id": BEFORE[0].id,
        "before": "pass in compare",
        "after": "error in compile (NCC_EVRF029)",
        "defects": [],
        "command": BEFORE[0].command,
    }


def test_what_was_never_judged_before_is_first_tested_and_no_regression(diff: Callable[..., tuple[int, str]]) -> None:
    before = [record(1, Status.PASS), record(2, Status.NOT_JUDGED), record(3, Status.NOT_RUN)]
    after = [*before[:1], *(record(batch, Status.WRONG) for batch in (2, 3, 4))]
    code, said = diff(before, after, "--json")
    assert code == 0
    assert [change["what"] for change in json.loads(said)] == ["first tested and failing"] * 3
    assert diff(before, [record(1, Status.WRONG), *after[1:]])[0] == 1


def test_common_compares_what_both_have(diff: Callable[..., tuple[int, str]]) -> None:
    code, said = diff(BEFORE, [record(1, Status.WRONG), record(8, Status.WRONG)], "--common", "--json")
    assert code == 1
    assert [change["id"] for change in json.loads(said)] == [BEFORE[0].id]


def test_no_common_case_is_one_line(diff: Callable[..., tuple[int, str]]) -> None:
    code, said = diff(BEFORE, [record(8, Status.WRONG)], "--common")
    assert code == 2
    assert said.startswith("error: no case is in both")
    assert said.count("\n") == 1


@pytest.mark.parametrize("form", [(), ("--markdown",)])
def test_cases_of_another_profile_do_not_drown_the_rest(
    diff: Callable[..., tuple[int, str]], form: tuple[str, ...]
) -> None:
    many = [record(batch, Status.PASS) for batch in range(100, 300)]
    code, said = diff([record(1, Status.PASS), *many], [record(1, Status.WRONG)], *form)
    assert code == 1
    assert "1 new failure, 200 not tested any more" in said
    assert said.count("not tested any more") == 1 + 10 + 1
    assert "and 190 more" in said
    assert len(json.loads(diff([record(1, Status.PASS), *many], [], "--json")[1])) == 201


def test_fixed_is_no_failure(diff: Callable[..., tuple[int, str]]) -> None:
    code, said = diff([record(4, Status.WRONG)], [record(4, Status.PASS)])
    assert code == 0
    assert "1 fixed" in said


def test_issue_says_what_is_known_and_how_to_see_it_again(
    diff: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    diff(BEFORE, AFTER, "--issues", str(tmp_path / "issues"))
    files = sorted((tmp_path / "issues").iterdir())
    assert len(files) == 3, "what is fixed is no issue, what is first tested and fails is one"
    title, _, body = files[0].read_text().partition("\n\n")
    assert title == f"{BEFORE[0].id}: error in compile (NCC_EVRF029)"
    for expected in ("Before: pass in compare.", "sort", BEFORE[0].command, "neuronx-cc 2.24.8799.0"):
        assert expected in body


def test_folder_without_records_is_one_line(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["diff", str(tmp_path), str(tmp_path)])
    assert done.exit_code == 2
    assert "no records in" in done.output
