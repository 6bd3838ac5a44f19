"""JSON lines, one object a case, appended and flushed. Where a case was run twice, the later record counts."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path

from pydantic import ValidationError

from conformance.cases.errors import UserError, not_there
from conformance.cases.outcome import Record


class RecordWriter:
    """Appends records to one file of its own; the file is made with the first record."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, record: Record) -> None:
        """Append one line and flush it, so that a killed run loses nothing it had finished."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(record.model_dump_json() + "\n")


def read_records(folder: Path) -> list[Record]:
    """All records under a folder, the last of each id, in the order of their ids' first appearance.

    Raises UserError as `read_all`.
    """
    return latest(read_all(folder))


def read_all(folder: Path) -> list[Record]:
    """All records under a folder, of every run. Raises UserError for a folder without records, and for a line that
    is no record: nothing is skipped."""
    files = sorted(folder.glob("*.jsonl"))
    if not files:
        raise UserError(f"no records in {folder}: run `pytest conformance` first, or name another with --records")
    return [record for file in files for record in _read_file(file)]


def matching(pattern: str, records: Iterable[Record]) -> list[Record]:
    """Those of an id, or of a pattern with `*`. Raises UserError where there are none, with the nearest."""
    records = list(records)
    if not (chosen := [record for record in records if fnmatchcase(record.id, pattern)]):
        raise not_there("no record of", pattern, {record.id: None for record in records})
    return chosen


def latest(records: Iterable[Record]) -> list[Record]:
    """The record that finished last, for every id."""
    last: dict[str, Record] = {}
    for record in records:
        if record.id not in last or record.finished >= last[record.id].finished:
            last[record.id] = record
    return list(last.values())


def _read_file(path: Path) -> Iterable[Record]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {path}: {error}") from None
    for number, line in enumerate(lines, 1):
        try:
            yield Record.model_validate_json(line)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            raise UserError(
                f"{path}:{number} is no record ({where + ': ' if where else ''}{first['msg']}); "
                "delete the line or the file"
            ) from None
