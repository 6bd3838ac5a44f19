"""Rows, columns and cells: every pair of a row and a column has a cell, tested or not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from conformance.cases.case import SHORT_DTYPES, Column, Subject
from conformance.cases.outcome import Record
from conformance.defects.catalogue import DEFECTS
from conformance.report.formatting import HEADINGS, NOT_TESTED, CellText, cell_text, natural

_SIZES = "tnsmclex"


@dataclass(frozen=True)
class MatrixRow:
    """What is computed. The rows of a defect's minimal cases have workarounds, those of the models none."""

    subject: Subject
    workarounds: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The model's name with the name of its trained weights, or the minimal case's own name."""
        weights = f"/{self.subject.weights}" if self.subject.weights else ""
        return (self.subject.model if self.subject.task else self.subject.variant) + weights

    @property
    def dtype(self) -> str:
        """`bf16`."""
        return SHORT_DTYPES.get(self.subject.dtype, self.subject.dtype)

    @property
    def size(self) -> str:
        """`b2 320x320 bf16`; a minimal case has no resolution."""
        return " ".join(part for part in (f"b{self.subject.batch}", self.subject.resolution, self.dtype) if part)

    @property
    def order(self) -> tuple[object, ...]:
        """What rows are sorted by."""
        subject = self.subject
        size = _SIZES.find(subject.variant) if subject.variant and subject.task else -1
        dtype = list(SHORT_DTYPES).index(subject.dtype) if subject.dtype in SHORT_DTYPES else len(SHORT_DTYPES)
        model = natural(subject.system), size, natural(subject.variant), natural(subject.task)
        return (
            *model,
            natural(subject.weights or ""),
            subject.batch,
            subject.height or 0,
            subject.width or 0,
            dtype,
            self.workarounds,
        )


@dataclass(frozen=True)
class TableColumn:
    """A column of cases, without the workarounds where the rows have these; and whether it is only emulated."""

    of: Column
    emulated: bool

    @property
    def id(self) -> str:
        """`emulator/inf2/sdk-2.29.1+slice`."""
        return str(self.of)

    @property
    def lines(self) -> tuple[str, ...]:
        """`emulator`, `inf2`, `SDK 2.29.1`, `+ slice`: a heading, one part a line."""
        return self.of.lines

    @property
    def order(self) -> tuple[object, ...]:
        """What columns are sorted by."""
        return self.of.workarounds, natural(str(self.of.plain))

    @property
    def title(self) -> str:
        """`emulator / inf2 / SDK 2.29.1 + slice`."""
        return " / ".join(self.lines).replace(" / + ", " + ")


def merged_lines(columns: Sequence[TableColumn]) -> list[str]:
    """The heading of columns shown as one: `emulator`, `inf2 SDK 2.28.0 2.29.1`, `trn2 SDK 2.29.1`, `+ slice`."""
    if len(columns) == 1:
        return list(columns[0].lines)
    lines = [columns[0].of.target]
    for hardware, group in groupby(columns, key=lambda column: column.of.hardware):
        lines.append(" ".join((hardware, "SDK", *(column.of.sdk or "-" for column in group))))
    return [*lines, *columns[0].of.settings, *(f"+ {name}" for name in columns[0].of.workarounds)]


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
class MatrixTable:
    """Rows x columns, all of them real or all of them emulated."""

    emulated: bool
    rows: tuple[MatrixRow, ...]
    columns: tuple[TableColumn, ...]
    tested: Mapping[tuple[MatrixRow, TableColumn], Cell]

    def cell(self, row: MatrixRow, column: TableColumn) -> Cell:
        """The cell of a row in a column."""
        return self.tested.get((row, column), Cell())

    def cells(self) -> Iterator[tuple[MatrixRow, TableColumn, Cell]]:
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

    def merged(self) -> list[tuple[TableColumn, ...]]:
        """The columns, those together that are of one target with the same settings and workarounds and say the
        same in every row: releases with the same known defects."""
        alike: dict[object, list[TableColumn]] = {}
        for column in self.columns:
            said = tuple((str(cell.text), cell.defects) for cell in (self.cell(row, column) for row in self.rows))
            alike.setdefault((column.of.target, column.of.settings, column.of.workarounds, said), []).append(column)
        return [tuple(columns) for columns in alike.values()]

    def split(self, limit: int) -> list[MatrixTable]:
        """The table in parts of at most `limit` columns. Workarounds that fit into one part stay in one."""
        parts: list[list[TableColumn]] = []
        for _, group in groupby(self.columns, key=lambda column: column.of.workarounds):
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

    real: MatrixTable
    emulated: MatrixTable

    def __iter__(self) -> Iterator[MatrixTable]:
        return iter((self.real, self.emulated))


def row_of(record: Record, *, workarounds: bool) -> MatrixRow:
    """The row of a record; `workarounds`: whether the rows have the workarounds, or the columns."""
    case = record.case
    return MatrixRow(case.subject, case.column.workarounds if workarounds else ())


def column_of(record: Record, *, workarounds: bool) -> TableColumn:
    """The column of a record; `workarounds`: whether the columns have the workarounds, or the rows."""
    column = record.column
    return TableColumn(column if workarounds else column.plain, record.emulated)


def sorted_rows(rows: Iterable[MatrixRow]) -> tuple[MatrixRow, ...]:
    """Each row once: by system, size, task, weights, batch, resolution and dtype."""
    return tuple(sorted(dict.fromkeys(rows), key=lambda row: row.order))


def sorted_columns(columns: Iterable[TableColumn]) -> tuple[TableColumn, ...]:
    """Each column once: by workarounds, target, hardware and SDK."""
    return tuple(sorted(dict.fromkeys(columns), key=lambda column: column.order))


def tables(
    rows: Iterable[MatrixRow], columns: Iterable[TableColumn], cells: Mapping[tuple[MatrixRow, TableColumn], Cell]
) -> Tables:
    """Real and emulated columns apart, each with all the rows."""
    rows, columns = sorted_rows(rows), sorted_columns(columns)
    real, emulated = (
        MatrixTable(kind, rows, tuple(column for column in columns if column.emulated is kind), cells)
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
