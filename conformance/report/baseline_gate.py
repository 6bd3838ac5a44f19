"""What the published YOLO26 port's own accuracy test would have said about the wrong cells."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from conformance.cases.outcome import GroupFigures, PublishedGate, Record
from conformance.report.formatting import natural, plural
from conformance.report.table import Cell, MatrixRow, TableColumn, column_of, row_of


@dataclass(frozen=True)
class Missed:
    """A wrong cell that the published gate passes."""

    row: MatrixRow
    column: TableColumn
    cell: Cell
    gate: PublishedGate
    worst_group: str | None
    worst: GroupFigures | None


@dataclass(frozen=True)
class Gate:
    """The wrong cells that the gate was asked about, on real or on emulated targets."""

    emulated: bool
    wrong: int
    missed: tuple[Missed, ...]

    @property
    def summary(self) -> str:
        """`3 of 4 wrong cells pass the published gate`."""
        verb = "passes" if len(self.missed) == 1 else "pass"
        return f"{len(self.missed)} of {plural(self.wrong, 'wrong cell')} {verb} the published gate"


def published_gates(records: Iterable[Record], anchor_of: Mapping[str, str]) -> tuple[Gate, Gate]:
    """The gate's word on wrong cells: of the real targets, and of the emulated ones."""
    asked = [record for record in records if record.published_gate and record.decided and record.outputs_bad]
    real, emulated = (
        _gate(kind, [record for record in asked if record.emulated is kind], anchor_of) for kind in (False, True)
    )
    return real, emulated


def _gate(emulated: bool, asked: list[Record], anchor_of: Mapping[str, str]) -> Gate:
    missed = [_missed(record, record.published_gate, anchor_of) for record in asked if record.published_gate]
    passed = [miss for miss in missed if miss.gate.passes]
    passed.sort(key=lambda miss: (miss.column.of.workarounds, miss.row.order, natural(str(miss.column.of.plain))))
    return Gate(emulated, len(asked), tuple(passed))


def _missed(record: Record, gate: PublishedGate, anchor_of: Mapping[str, str]) -> Missed:
    worst = record.worst_group
    return Missed(
        row_of(record, workarounds=False),
        column_of(record, workarounds=True),
        Cell(record, anchor_of[record.id]),
        gate,
        worst,
        record.groups[worst] if worst else None,
    )
