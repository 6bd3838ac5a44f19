"""Rows, columns and cells: every pair of a row and a column has a cell, tested or not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

from conformance.cases.case import SHORT_DTYPES, Case
from conformance.cases.outcome import Record
from conformance.defects.catalogue import DEFECTS
from conformance.report.words import HEADINGS, NOT_TESTED, CellText, cell_text, natural

_SIZES = "tnsmclex"


@dataclass(frozen=True)
class Row:
    """What is computed. The rows of a defect's minimal cases have workarounds, those of the models none."""

    case: Case = field(compare=False)
    subject: str
    workarounds: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The model's name with the name of its trained weights, or the minimal case's own name."""
        weights = f"/{self.case.weights}" if self.case.weights else ""
        return (self.case.model if self.case.task else self.case.variant) + weights

    @property
    def dtype(self) -> str:
        """`bf16`."""
        return SHORT_DTYPES.get(self.case.dtype, self.case.dtype)

    @property
    def size(self) -> str:
        """`b2 320x320 bf16`; a minimal case has no resolution."""
        return " ".join(part for part in (f"b{self.case.batch}", self.case.resolution, self.dtype) if part)

    @property
    def order(self) -> tuple[object, ...]:
        """What rows are sorted by."""
        case = self.case
        size = _SIZES.find(case.variant) if case.variant and case.task else -1
        dtype = list(SHORT_DTYPES).index(case.dtype) if case.dtype in SHORT_DTYPES else len(SHORT_DTYPES)
        model = natural(case.system), size, natural(case.variant), natural(case.task)
        return (
            *model,
            natural(case.weights or ""),
            case.batch,
            case.height or 0,
            case.width or 0,
            dtype,
            self.workarounds,
        )


@dataclass(frozen=True)
class Column:
    """Who computes it: target, hardware, SDK, settings, workarounds; and whether that is only emulated."""

    name: str
    target: str
    hardware: str
    sdk: str | None
    emulated: bool
    workarounds: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """`emulator/inf2/sdk-2.29.1+slice`."""
        return "+".join((self.name, *self.workarounds))

    @property
    def lines(self) -> tuple[str, ...]:
        """`emulator`, `inf2`, `SDK 2.29.1`, `+ slice`: a heading, one part a line."""
        hardware = () if self.hardware == "cpu" else (self.hardware,)
        sdk = (f"SDK {self.sdk}",) if self.sdk else ()
        return (self.target, *hardware, *sdk, *self.settings, *(f"+ {name}" for name in self.workarounds))

    @property
    def title(self) -> str:
        """`emulator / inf2 / SDK 2.29.1 + slice`."""
        return " / ".join(self.lines).replace(" / + ", " + ")


def merged_lines(columns: Sequence[Column]) -> list[str]:
    """The heading of columns shown as one: `emulator`, `inf2 SDK 2.28.0 2.29.1`, `trn2 SDK 2.29.1`, `+ slice`."""
    if len(columns) == 1:
        return list(columns[0].lines)
    lines = [columns[0].target]
    for hardware, group in groupby(columns, key=lambda column: column.hardware):
        lines.append(" ".join((hardware, "SDK", *(column.sdk or "-" for column in group))))
    return [*lines, *columns[0].settings, *(f"+ {name}" for name in columns[0].workarounds)]


@dataclass(frozen=True)
class Cell:
    """What came of a row in a column. Without a record, and an anchor to it, it was not tested."""

    record: Record | None = None
    anchor: str = ""

    @property
    def status(self) -> str:
        """The record's status, or `not_tested`."""
        return self.record.status.value if self.record else NOT_TESTED

    @property
    def failed(self) -> bool:
        """Whether it was tested and did not pass."""
        return self.record is not None and self.record.failed

    @property
    def text(self) -> CellText:
        """What the cell says."""
        return cell_text(self.record)

    @property
    def defects(self) -> tuple[str, ...]:
        """The ids of the known defects it is put down to."""
        return tuple(dict.fromkeys(self.record.defects)) if self.record else ()

    @property
    def evidence(self) -> dict[str, str]:
        """How sure each of them is: `{"split-with-sizes": "reproduced"}`."""
        return {id_: DEFECTS[id_].evidence.value for id_ in self.defects if id_ in DEFECTS}


@dataclass(frozen=True)
class Table:
    """Rows x columns, all of them real or all of them emulated."""

    emulated: bool
    rows: tuple[Row, ...]
    columns: tuple[Column, ...]
    tested: Mapping[tuple[Row, Column], Cell]

    def cell(self, row: Row, column: Column) -> Cell:
        """The cell of a row in a column."""
        return self.tested.get((row, column), Cell())

    def cells(self) -> Iterator[tuple[Row, Column, Cell]]:
        """All cells, row by row."""
        return ((row, column, self.cell(row, column)) for row in self.rows for column in self.columns)

    @property
    def statuses(self) -> list[str]:
        """The status of every cell."""
        return [cell.status for _, _, cell in self.cells()]

    @property
    def heading(self) -> str:
        """`Real`, or what emulated means."""
        return HEADINGS[self.emulated]

    def merged(self) -> list[tuple[Column, ...]]:
        """The columns, those together that are of one target with the same settings and workarounds and say the
        same in every row: releases with the same known defects."""
        alike: dict[object, list[Column]] = {}
        for column in self.columns:
            said = tuple((str(cell.text), cell.defects) for cell in (self.cell(row, column) for row in self.rows))
            alike.setdefault((column.target, column.settings, column.workarounds, said), []).append(column)
        return [tuple(columns) for columns in alike.values()]

    def split(self, limit: int) -> list[Table]:
        """The table in parts of at most `limit` columns. Workarounds that fit into one part stay in one."""
        parts: list[list[Column]] = []
        for _, group in groupby(self.columns, key=lambda column: column.workarounds):
            columns = list(group)
            for start in range(0, len(columns), limit):
                piece = columns[start : start + limit]
                if parts and len(parts[-1]) + len(piece) <= limit:
                    parts[-1] += piece
                else:
                    parts.append(piece)
        return [replace(self, columns=tuple(part)) for part in parts]


@dataclass(frozen=True)
class Tables:
    """The same rows on real targets, and on emulated ones."""

    real: Table
    emulated: Table

    def __iter__(self) -> Iterator[Table]:
        return iter((self.real, self.emulated))


def row_of(record: Record, *, workarounds: bool) -> Row:
    """The row of a record; `workarounds`: whether the rows have the workarounds, or the columns."""
    case = record.case
    return Row(case, case.subject, case.workarounds if workarounds else ())


def column_of(record: Record, *, workarounds: bool) -> Column:
    """The column of a record; `workarounds`: whether the columns have the workarounds, or the rows."""
    case = record.case
    names = case.workarounds if workarounds else ()
    return Column(case.column, case.target, case.hardware, case.sdk, record.emulated, names, case.settings)


def sorted_rows(rows: Iterable[Row]) -> tuple[Row, ...]:
    """Each row once: by system, size, task, weights, batch, resolution and dtype."""
    return tuple(sorted(dict.fromkeys(rows), key=lambda row: row.order))


def sorted_columns(columns: Iterable[Column]) -> tuple[Column, ...]:
    """Each column once: by workarounds, target, hardware and SDK."""
    return tuple(sorted(dict.fromkeys(columns), key=lambda column: (column.workarounds, natural(column.name))))


def tables(rows: Iterable[Row], columns: Iterable[Column], cells: Mapping[tuple[Row, Column], Cell]) -> Tables:
    """Real and emulated columns apart, each with all the rows."""
    rows, columns = sorted_rows(rows), sorted_columns(columns)
    real, emulated = (
        Table(kind, rows, tuple(column for column in columns if column.emulated is kind), cells)
        for kind in (False, True)
    )
    return Tables(real, emulated)


def anchors(prefix: str, ids: Iterable[str]) -> dict[str, str]:
    """A different anchor for every id, made of letters, digits, dots and hyphens."""
    anchor_of: dict[str, str] = {}
    used: set[str] = set()
    for id_ in dict.fromkeys(ids):
        plain = "".join(c if c.isascii() and (c.isalnum() or c == ".") else "-" for c in id_)
        anchor, number = f"{prefix}-{plain}", 1
        while anchor in used:
            number += 1
            anchor = f"{prefix}-{plain}--{number}"
        used.add(anchor)
        anchor_of[id_] = anchor
    return anchor_of
