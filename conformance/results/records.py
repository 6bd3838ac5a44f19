"""JSON lines, one object a case, appended and flushed. Where a case was run twice, the later record counts.

What cannot be read is said, one line each, and set aside: it costs no other record.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timezone
from fnmatch import fnmatchcase
from pathlib import Path

from pydantic import ValidationError

from conformance.cases.outcome import SCHEMA, Record
from conformance.core.errors import UserError, not_there
from conformance.core.text import one_line, shortened

# Lines that are said of a folder, behind them how many more there were; records that are looked for in one line.
_SAID = 20
_MOST = 100
# What a line begins with, as it is written here.
_BEGIN = '{"stage":'


class RecordWriter:
    """Appends records to one file of its own; the file is made with the first record."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, record: Record) -> None:
        """Append one line and flush it, so that a killed run loses nothing it had finished. What a full disk cut off
        before is left on a line of its own. Raises UserError where it cannot be written."""
        line = record.model_dump_json(by_alias=True).encode() + b"\n"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab") as file:
                file.write(line if _ends_a_line(self.path) else b"\n" + line)
        except OSError as error:
            raise UserError(f"cannot write the record of {record.id} to {self.path}: {error.strerror}") from None


def records_file(folder: Path, worker: str = "main") -> Path:
    """A file of its own for the records of this process, named after the time and the worker."""
    return folder / f"{datetime.now(timezone.utc):%Y%m%dT%H%M%S}-{worker}-{os.getpid()}.jsonl"


def say(message: str) -> None:
    """One line on stderr."""
    print(one_line(message), file=sys.stderr)


def read_records(folder: Path, tell: Callable[[str], None] = say) -> list[Record]:
    """All records under a folder, the last of each id, in the order of their ids' first appearance.

    Raises UserError as `read_all`.
    """
    return latest(read_all(folder, tell))


def read_if_any(folder: Path) -> list[Record]:
    """The same; none where there are none yet."""
    return read_records(folder) if any(folder.glob("*.jsonl")) else []


def read_all(folder: Path, tell: Callable[[str], None] = say) -> list[Record]:
    """All records under a folder, of every run. What is none is told, with its file and line. Raises UserError for a
    folder without files of records, and for one in which nothing can be read."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is no folder: give the one that the files of records are in")
    files = sorted(folder.glob("*.jsonl"))
    if not files:
        raise UserError(f"no records in {folder}: run `pytest conformance` first, or name another with --records")
    aside: list[str] = []
    found = [record for file in files for record in _read_file(file, aside.append)]
    if not found:
        raise UserError(f"nothing in {folder} can be read as records: {aside[0]}")
    for message in aside[:_SAID]:
        tell(message)
    if len(aside) > _SAID:
        tell(f"{folder}: {len(aside) - _SAID} more like these")
    return found


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


def _ends_a_line(path: Path) -> bool:
    """Whether what is appended to a file begins a line: it is new, empty, or was not cut off."""
    with path.open("rb") as file:
        if file.seek(0, os.SEEK_END) == 0:
            return True
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def _read_file(path: Path, aside: Callable[[str], None]) -> Iterator[Record]:
    try:
        if not path.is_file():  # a pipe would never end
            raise OSError(0, "it is no file")
        content = path.read_bytes()
    except OSError as error:
        aside(f"{path} cannot be read: {error.strerror}")
        return
    if not content.strip():
        aside(f"{path} is empty")
    for number, line in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        if line.strip():
            yield from _read_line(line, f"{path}:{number}", aside)


def _read_line(line: bytes, where: str, aside: Callable[[str], None]) -> Iterator[Record]:
    """The record of a line, or those of a line in which several have run together."""
    try:
        yield _record(line)
        return
    except ValidationError as error:
        reason = _reason(error, line)
    parts = _objects(line.decode(errors="replace"))
    good = []
    for part in parts if len(parts) > 1 else ():
        try:
            good.append(_record(part))
        except ValidationError as error:
            reason = _reason(error, part)
    yield from good
    if len(parts) == 1:
        aside(f"{where} is no record ({reason}): set aside")
    else:
        lost = f", {len(parts) - len(good)} set aside ({reason})" if len(good) < len(parts) else ""
        aside(f"{where} has {len(parts)} records in one line: {len(good)} read{lost}")


def _record(text: bytes | str) -> Record:
    """Raises ValidationError. What an older suite did not write is not taken from this one."""
    record = Record.model_validate_json(text)
    absent = {"schema_number": 0, "revision": None}.items()
    update = {name: value for name, value in absent if name not in record.model_fields_set}
    return record.model_copy(update=update) if update else record


def _objects(line: str) -> list[str]:
    """The JSON objects that stand one behind another in a line, and what is left of those that were cut off."""
    parts: list[str] = []
    start = 0
    while start < len(line) and len(parts) < _MOST:
        try:
            end = json.JSONDecoder().raw_decode(line, start)[1]
        except (ValueError, RecursionError):
            end = line.find(_BEGIN, start + 1)
            end = len(line) if end < 0 else end
        parts.append(line[start:end])
        start = end + len(line[end:]) - len(line[end:].lstrip())
    return parts


def _reason(error: ValidationError, text: bytes | str) -> str:
    """What is wrong with a line, and whether a newer suite wrote it."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"] if part not in ("case", "subject", "column"))
    message = f"{where}: {first['msg']}" if where else first["msg"]
    return shortened(message) + _newer(text)


def _newer(text: bytes | str) -> str:
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return ""
    number = said.get("schema") if isinstance(said, dict) else None
    if not isinstance(number, int) or number <= SCHEMA:
        return ""
    return f"; it is of schema {number}, which a newer suite writes, this one reads {SCHEMA}"
