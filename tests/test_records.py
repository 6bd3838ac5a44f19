"""Records are appended, survive odd numbers, and the later one counts; what is none is said and costs no other."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from importlib.metadata import version
from pathlib import Path

import pytest
from cells import cell

from conformance.cases.outcome import SCHEMA, GroupFigures, ImageFigures, Record, Recorded, Stage, Status
from conformance.core.errors import UserError
from conformance.results.records import _BEGIN, RecordWriter, read_records

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
        stage=Stage.COMPARE, status=status, groups={"boxes": figures}, id=name, emulated=False, command="",
        case=cell("toy", "1", "detect", 1, 16, 16, "float32", "planted"),
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


def line(name: str = "a", **changes: object) -> str:
    """What the writer writes of a record, with other keys in it."""
    said = json.loads(record(name).model_dump_json(by_alias=True))
    return json.dumps({**said, **changes})


CUT = line("cut")[:200]
SEPARATORS = "one\u2028two\u2029three\u0085four\x0bfive\x0csix\x1cseven"


@pytest.mark.parametrize(
    ("content", "ids", "said"),
    [
        (f"{line('a')}\n{CUT}\n{line('b')}\n", ["a", "b"], [":2 is no record (Invalid JSON"]),
        (f"{line('a')}\n{CUT}", ["a"], [":2 is no record (Invalid JSON"]),
        (f"{line('a')}{line('b')}\n", ["a", "b"], [":1 has 2 records in one line: 2 read"]),
        (f"{CUT}{line('b')}\n{line('c')}\n", ["b", "c"], [":1 has 2 records in one line: 1 read, 1 set aside (Inv"]),
        (f"{line('a')}{CUT}\n", ["a"], [":1 has 2 records in one line: 1 read, 1 set aside (Inv"]),
        (f"{line('a')} {CUT}{line('b')}{{}}\n", ["a", "b"], [":1 has 4 records in one line: 2 read, 2 set aside"]),
        (b"\x00\xff\xfe\x80\n" + line("a").encode() + b"\n\xc3\x28\n", ["a"], [":1 is no record", ":3 is no record"]),
        (b"\xef\xbb\xbf" + line("a").encode() + b"\r\n\r\n", ["a"], []),
        (f"{line('a')}\n[1]\n3\nnull\n\"text\"\n", ["a"], [":2 is", ":3 is", ":4 is", ":5 is"]),
        (f"{line('a')}\n{line('b', started='never')}\n", ["a"], [":2 is no record (started: "]),
        (f"{line('a')}\n{line('b', status='bewildered')}\n", ["a"], [":2 is no record (status: "]),
        (f"{line('a')}\n{'[' * 100_000}\n", ["a"], [":2 is no record"]),
        (f"{line('a', detail=SEPARATORS)}\n{line('b', id=SEPARATORS)}\n", ["a", None], []),
        (line("a", finished="0001-01-01T00:00:00+05:00") + "\n" + line("b"), ["b"], [":1 is no record (finished: "]),
    ],
)  # fmt: skip
def test_what_is_no_record_is_said_and_costs_no_other(
    tmp_path: Path, content: str | bytes, ids: list[str | None], said: list[str]
) -> None:
    content = content.encode() if isinstance(content, str) else content
    (tmp_path / "a.jsonl").write_bytes(content)
    told: list[str] = []
    found = read_records(tmp_path, told.append)
    assert [one.id for one in found if None not in ids] == [id_ for id_ in ids if None not in ids]
    assert len(found) == len(ids)
    assert [beginning in message for beginning, message in zip(said, told, strict=True)] == [True] * len(said), told
    assert not any("\n" in message for message in told)


def test_files_that_are_none_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.jsonl").write_text(line("a"))
    (tmp_path / "empty.jsonl").touch()
    (tmp_path / "folder.jsonl").mkdir()
    os.mkfifo(tmp_path / "pipe.jsonl")
    assert [one.id for one in read_records(tmp_path)] == ["a"]
    said = capsys.readouterr().err.splitlines()
    assert [text.removeprefix(f"{tmp_path}/") for text in said] == [
        "empty.jsonl is empty",
        "folder.jsonl cannot be read: it is no file",
        "pipe.jsonl cannot be read: it is no file",
    ]


def test_thousands_of_broken_lines_are_not_thousands_of_messages(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(line() + "\n" + "{\n" * 5000)
    told: list[str] = []
    assert len(read_records(tmp_path, told.append)) == 1
    assert len(told) == 21
    assert told[-1].endswith("4980 more like these")


@pytest.mark.parametrize("content", ["", "\n \n", "{}\n", CUT, "\x00" * 100])
def test_folder_in_which_nothing_can_be_read_is_an_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.jsonl").write_text(content)
    with pytest.raises(UserError, match=r"nothing in .* can be read as records: .*a\.jsonl"):
        read_records(tmp_path)


def test_file_in_the_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(line())
    with pytest.raises(UserError, match=r"a.jsonl is no folder"):
        read_records(tmp_path / "a.jsonl")


def test_keys_of_a_newer_suite_are_kept_and_written_again(tmp_path: Path) -> None:
    said = json.loads(line("a", schema=SCHEMA + 1, revision="9.9", colour={"of": ["the", "future", 1.5]}))
    said["groups"]["boxes"]["per_image"][0]["hue"] = "blue"
    (tmp_path / "old" / "a.jsonl").parent.mkdir()
    (tmp_path / "old" / "a.jsonl").write_text(json.dumps(said))
    told: list[str] = []
    (found,) = read_records(tmp_path / "old", told.append)
    assert (found.schema_number, found.revision, told) == (SCHEMA + 1, "9.9", [])
    RecordWriter(tmp_path / "new" / "a.jsonl").write(found)
    again = json.loads((tmp_path / "new" / "a.jsonl").read_text())
    assert again == json.loads(found.model_dump_json(by_alias=True))
    assert again["colour"] == said["colour"]
    assert again["groups"]["boxes"]["per_image"][0]["hue"] == "blue"


def test_newer_record_that_cannot_be_read_is_said_to_be_newer(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(f"{line('a')}\n{line('b', schema=SCHEMA + 1, status='bewildered')}\n")
    told: list[str] = []
    assert [one.id for one in read_records(tmp_path, told.append)] == ["a"]
    assert len(told) == 1
    assert f"it is of schema {SCHEMA + 1}, which a newer suite writes" in told[0]


def test_record_without_schema_and_revision_is_an_older_one(tmp_path: Path) -> None:
    said = json.loads(line())
    assert said["schema"] == SCHEMA
    assert said["revision"].startswith(version("neuron-conformance"))
    del said["schema"], said["revision"]
    (tmp_path / "a.jsonl").write_text(json.dumps(said))
    (found,) = read_records(tmp_path)
    assert (found.schema_number, found.revision) == (0, None)


def test_times_without_a_zone_are_utc(tmp_path: Path) -> None:
    """They stand beside those with one, in the same case; the later one counts."""
    rows = [
        line("a", status="wrong", finished="2026-11-21T12:30:00"),
        line("a", finished="2026-11-21T14:00:00+02:00"),
        line("a", status="crash", finished="2026-11-21T12:10:00Z"),
    ]
    (tmp_path / "a.jsonl").write_text("\n".join(rows))
    (found,) = read_records(tmp_path)
    assert found.status is Status.WRONG
    assert found.finished.utcoffset() == timedelta(0)


def test_writer_begins_a_line_behind_what_was_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(line("a") + "\n" + CUT)
    RecordWriter(path).write(record("b"))
    told: list[str] = []
    assert [one.id for one in read_records(tmp_path, told.append)] == ["a", "b"]
    assert len(told) == 1
    assert ":2 is no record" in told[0]


def test_full_disk_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").symlink_to("/dev/full")
    with pytest.raises(UserError, match=r"cannot write the record of a to .*a\.jsonl: No space left on device"):
        RecordWriter(tmp_path / "a.jsonl").write(record("a"))
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot write the record of a to .*: (Not a directory|File exists)"):
        RecordWriter(tmp_path / "file" / "a.jsonl").write(record("a"))


def test_line_begins_with_what_is_looked_for_in_a_broken_one() -> None:
    assert record().model_dump_json(by_alias=True).startswith(_BEGIN)


def test_every_text_of_a_record_is_made_printable() -> None:
    """Of each model in it: a new field that is plain `str` turns this red."""
    todo: list[type[Recorded]] = [Record]
    seen: set[type[Recorded]] = set()
    while todo:
        model = todo.pop()
        seen.add(model)
        for name, written in model.__annotations__.items():
            assert not re.search(r"\bstr\b", written), f"{model.__name__}.{name} is {written}: make it Text"
        inner = (part for field in model.model_fields.values() for part in _models(field.annotation))
        todo += [part for part in inner if part not in seen]
        todo += [base for base in model.__bases__ if issubclass(base, Recorded) and base not in (*seen, Recorded)]
    assert len(seen) > 8


def _models(shape: object) -> Iterator[type[Recorded]]:
    if isinstance(shape, type) and issubclass(shape, Recorded):
        yield shape
    for part in getattr(shape, "__args__", ()):
        yield from _models(part)


@pytest.mark.parametrize("bad", ["\x1b[31mred\x1b[0m", "\x1b]0;title\x07", "\x9b2J", "\u202egnp.exe", "\x00\x08"])
def test_no_control_character_is_left_in_a_record(tmp_path: Path, bad: str) -> None:
    said = json.loads(
        line(bad, detail=f"a\n\tb{bad}", notes=[bad], environment={bad: bad}, signature=bad, command=bad)
    )
    said["groups"] = {bad: said["groups"]["boxes"]}
    (tmp_path / "a.jsonl").write_text(json.dumps(said))
    (found,) = read_records(tmp_path)
    text = "".join((found.id, *found.groups, *found.notes, *found.environment, str(found.signature), found.command))
    assert text.isprintable()
    assert found.detail is not None
    assert found.detail.startswith("a\n\tb")
    assert found.detail.replace("\n", "").replace("\t", "").isprintable()


def test_no_records_says_how_to_get_some(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no records in .*: run `pytest conformance` first"):
        read_records(tmp_path)


def test_worst_group_is_the_bad_one_furthest_off() -> None:
    """Boxes of a large error ratio but a tiny error do not hide scores that are off by half; nor a healthy group."""

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
