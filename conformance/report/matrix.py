"""The compatibility matrix: what the records say, put in order, and not yet in any form."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone

from conformance.cases.outcome import Record
from conformance.report.attribution import first_tiers
from conformance.report.baseline_gate import Gate, published_gates
from conformance.report.defect_pages import KnownDefect, known_defects
from conformance.report.detections import detections
from conformance.report.formatting import natural, one_line
from conformance.report.isolated import IsolatedLayers, isolated_layers
from conformance.report.published import Published, published_figures
from conformance.report.table import Cell, MatrixRow, TableColumn, Tables, anchors, column_of, row_of, tables


@dataclass(frozen=True)
class Matrix:
    """All that the four forms show. `measured_with` has the package versions of each real column, `first_tiers` where
    failures come in, by the ids of their records."""

    generated: datetime
    models: Tables
    with_workarounds: Tables
    measured_with: tuple[tuple[TableColumn, str], ...]
    isolated: tuple[IsolatedLayers, ...]
    defects: tuple[KnownDefect, ...]
    gates: tuple[Gate, Gate]
    detections: Tables
    published: Published
    first_tiers: dict[str, str]

    @property
    def defect_anchors(self) -> dict[str, str]:
        """The anchor of every defect's section."""
        return {known.id: known.anchor for known in self.defects}

    @property
    def seen_defects(self) -> tuple[KnownDefect, ...]:
        """Those that appear in the records."""
        return tuple(known for known in self.defects if known.appears)

    def isolated_on(self, emulated: bool) -> tuple[IsolatedLayers, ...]:
        """The isolated layers on emulated targets, or on real ones."""
        return tuple(layers for layers in self.isolated if layers.column.emulated is emulated)

    def tested_cells(self) -> Iterator[Cell]:
        """Every cell with a record, once; of the isolated layers those that did not pass."""
        minimal = (table for known in self.defects for table in known.minimal)
        for table in (*self.models, *self.with_workarounds, *minimal):
            yield from (cell for _, _, cell in table.cells() if cell.record)
        yield from (layer.cell for layers in self.isolated for layer in layers.rest)


def build_matrix(records: list[Record], generated: datetime | None = None) -> Matrix:
    """Put the records in order. Raises UserError where the file of published figures is broken."""
    anchor_of = anchors("cell", (record.id for record in records))
    models = [record for record in records if record.subject.task and record.layer is None]
    return Matrix(
        generated=generated or datetime.now(timezone.utc),
        models=_models(models, anchor_of),
        with_workarounds=_with_workarounds(models, anchor_of),
        measured_with=_measured_with(records),
        isolated=isolated_layers((record for record in records if record.layer is not None), anchor_of),
        defects=known_defects(records, anchor_of),
        gates=published_gates(models, anchor_of),
        detections=detections(models, anchor_of),
        published=published_figures(models, anchor_of),
        first_tiers=first_tiers(records),
    )


def _models(models: list[Record], anchor_of: dict[str, str]) -> Tables:
    """The main table: a row or column that was only tested with workarounds is in it too, as not tested."""
    rows = (row_of(record, workarounds=False) for record in models)
    columns = (column_of(record, workarounds=False) for record in models)
    return tables(rows, columns, _cells(models, anchor_of))


def _with_workarounds(models: list[Record], anchor_of: dict[str, str]) -> Tables:
    """The same rows, and a column for every column and set of workarounds that was tested."""
    rows = (row_of(record, workarounds=False) for record in models)
    columns = (column_of(record, workarounds=True) for record in models if record.column.workarounds)
    return tables(rows, columns, _cells(models, anchor_of))


def _cells(records: list[Record], anchor_of: dict[str, str]) -> dict[tuple[MatrixRow, TableColumn], Cell]:
    return {
        (row_of(record, workarounds=False), column_of(record, workarounds=True)): Cell(record, anchor_of[record.id])
        for record in records
    }


def _measured_with(records: list[Record]) -> tuple[tuple[TableColumn, str], ...]:
    """The versions that decide what a real column's target is, of all records in it."""
    versions: dict[TableColumn, dict[str, None]] = {}
    for record in records:
        if not record.emulated:
            column = column_of(record, workarounds=False)
            versions.setdefault(column, {}).update(dict.fromkeys(_versions_of(record)))
    columns = sorted(versions, key=lambda column: natural(str(column.of)))
    return tuple((column, ", ".join(versions[column])) for column in columns if versions[column])


def _versions_of(record: Record) -> list[str]:
    """`torch-xla 2.9.0`: the packages named after the target, or torch where there is none."""
    target = record.column.target.lower().partition("-")[0]
    named = {name: name.lower().replace("_", "-") for name in record.environment if name != "neuron-conformance"}
    chosen = [name for name, plain in named.items() if target in plain]
    chosen = chosen or [name for name, plain in named.items() if plain == "torch"]
    return [one_line(f"{named[name]} {record.environment[name]}") for name in sorted(chosen)]
