"""Layers that were compiled alone, and fed with the reference's own inputs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from conformance.cases.outcome import GroupFigures, LayerFigures, Record, Status
from conformance.report.formatting import layer_name, layer_type, plural, ratio_and_error
from conformance.report.table import Cell, MatrixRow, TableColumn, column_of, row_of, sorted_columns, sorted_rows


@dataclass(frozen=True)
class LayerCell:
    """One layer that did not pass. There are no figures where it did not come to numbers."""

    path: str
    type: str
    figures: LayerFigures | GroupFigures | None
    cell: Cell

    @property
    def name(self) -> str:
        """`model.10 (C2PSA)`."""
        return layer_name(self.path, self.type)

    @property
    def text(self) -> str:
        """`✗ wrong: model.10 (C2PSA), error ratio 1,240, error 0.12 (destroyed)`."""
        figure = f", {ratio_and_error(self.figures)}" if self.figures else ""
        text = self.cell.text
        return f"{text.mark} {text.word}: {self.name}{figure}"


@dataclass(frozen=True)
class IsolatedLayers:
    """The layers of one row in one column."""

    row: MatrixRow
    column: TableColumn
    total: int
    passed: int
    rest: tuple[LayerCell, ...]

    @property
    def summary(self) -> str:
        """`22 of 24 layers pass`."""
        return f"{self.passed} of {plural(self.total, 'layer')} pass"


def isolated_layers(records: Iterable[Record], anchor_of: Mapping[str, str]) -> tuple[IsolatedLayers, ...]:
    """For every row and column with isolated layers: how many pass, and which do not."""
    groups: dict[tuple[MatrixRow, TableColumn], list[Record]] = {}
    for record in records:
        key = row_of(record, workarounds=False), column_of(record, workarounds=True)
        groups.setdefault(key, []).append(record)
    rows = sorted_rows(row for row, _ in groups)
    columns = sorted_columns(column for _, column in groups)
    return tuple(
        _layers(row, column, groups[row, column], anchor_of)
        for row in rows
        for column in columns
        if (row, column) in groups
    )


def _layers(
    row: MatrixRow, column: TableColumn, records: list[Record], anchor_of: Mapping[str, str]
) -> IsolatedLayers:
    rest = [record for record in records if record.status is not Status.PASS]
    layers = tuple(_layer(record, Cell(record, anchor_of[record.id])) for record in rest)
    return IsolatedLayers(row, column, len(records), len(records) - len(rest), layers)


def _layer(record: Record, cell: Cell) -> LayerCell:
    path = record.layer or ""
    worst = record.groups[record.worst_group] if record.worst_group else None
    figures = next((layer for layer in record.layers if layer.path == path), worst)
    return LayerCell(path, layer_type(record, path), figures, cell)
