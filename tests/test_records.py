"""Records are appended, survive odd numbers, and the later one counts; a broken line is an error."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from conformance.cases.errors import UserError
from conformance.cases.outcome import GroupFigures, ImageFigures, Record, Stage, Status
from conformance.results.records import RecordWriter, read_records

NOON = datetime(2026, 11, 21, 12, tzinfo=timezone.utc)


def record(name: str = "a", status: Status = Status.PASS, minutes: int = 0) -> Record:
    image = ImageFigures(noise_ratio=float("inf"), rel_l2=float("nan"), cosine=0.5)
    figures = GroupFigures(
        noise_ratio=float("inf"),
        rel_l2=0.1,
        cosine=0.5,
        max_abs=1,
        sqnr_db=float("-inf"),
        per_image=[image],
        bad=True,
    )
    return Record(
        stage=Stage.COMPARE, status=status, groups={"boxes": figures}, id=name, system="toy", variant="1",
        task="detect", batch=1, height=16, width=16, dtype="float32", layer=None, target="planted", emulated=False,
        hardware="cpu", sdk=None, workarounds=[], command="",
        started=NOON, finished=NOON + timedelta(minutes=minutes),
    )  # fmt: skip


def test_round_trip_keeps_infinity_and_nan(tmp_path: Path) -> None:
    RecordWriter(tmp_path / "a.jsonl").write(record())
    (back,) = read_records(tmp_path)
    assert back.groups["boxes"].noise_ratio == float("inf")
    assert back.groups["boxes"].sqnr_db == float("-inf")
    assert back.groups["boxes"].per_image[0].rel_l2 != back.groups["boxes"].per_image[0].rel_l2


def test_later_record_counts_whatever_the_file_is_called(tmp_path: Path) -> None:
    RecordWriter(tmp_path / "z.jsonl").write(record("a", Status.WRONG, minutes=1))
    writer = RecordWriter(tmp_path / "b.jsonl")
    writer.write(record("a", Status.PASS, minutes=2))
    writer.write(record("b"))
    assert {r.id: r.status for r in read_records(tmp_path)} == {"a": Status.PASS, "b": Status.PASS}


def test_broken_line_is_an_error_that_names_it(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    RecordWriter(path).write(record())
    with path.open("a") as file:
        file.write('{"id": "half a rec\n')
    with pytest.raises(UserError, match=r"a.jsonl:2 is no record .*; delete the line or the file"):
        read_records(tmp_path)


def test_unknown_key_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(record().model_dump_json().replace('"id"', '"ident"') + "\n")
    with pytest.raises(UserError, match=r"a\.jsonl:1 is no record"):
        read_records(tmp_path)


def test_no_records_says_how_to_get_some(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no records in .*: run `pytest conformance` first"):
        read_records(tmp_path)


def test_worst_group_is_the_bad_one_furthest_off() -> None:
    """Boxes of a large noise ratio but a tiny error do not hide scores that are off by half; nor a healthy group."""

    def group(noise_ratio: float, rel_l2: float, bad: bool) -> GroupFigures:
        return GroupFigures(
            noise_ratio=noise_ratio, rel_l2=rel_l2, cosine=1, max_abs=1, sqnr_db=1, per_image=[], bad=bad
        )

    def worst(**groups: GroupFigures) -> str | None:
        return record().model_copy(update={"groups": groups}).worst_group

    assert worst(boxes=group(9e5, 0.01, True), scores=group(1e5, 0.5, True)) == "scores"
    assert worst(boxes=group(9e5, 0.01, True), scores=group(1, 0.5, False)) == "boxes"
    assert worst(boxes=group(9e5, float("nan"), True), scores=group(1e5, 0.5, True)) == "boxes"
    assert worst() is None
