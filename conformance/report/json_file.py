"""The matrix as strict JSON. Infinity and NaN are the strings "Infinity", "-Infinity" and "NaN"."""

from __future__ import annotations

import json
import math
from typing import Any

from pydantic import BaseModel

from conformance.compare.severity import severity
from conformance.report.baseline_gate import Gate, Missed
from conformance.report.defect_pages import KnownDefect
from conformance.report.formatting import NOT_TESTED, counts
from conformance.report.isolated import IsolatedLayers
from conformance.report.matrix import Matrix
from conformance.report.published import ABOUT, Compared, Published
from conformance.report.table import Cell, MatrixRow, MatrixTable, TableColumn, Tables


def as_json(matrix: Matrix) -> str:
    """The whole file."""
    content = {
        "generated": matrix.generated.isoformat(),
        **_tables(matrix.models),
        "totals": {"real": _totals(matrix.models.real), "emulated": _totals(matrix.models.emulated)},
        "measured_with": {column.id: versions for column, versions in matrix.measured_with},
        "with_workarounds": _tables(matrix.with_workarounds),
        "isolated_layers": [_isolated(layers) for layers in matrix.isolated],
        "defects": [_defect(known) for known in matrix.seen_defects],
        "published_gate": [_missed(miss) for gate in matrix.gates for miss in gate.missed],
        "published_gate_totals": {"real": _gate(matrix.gates[0]), "emulated": _gate(matrix.gates[1])},
        "detections": _tables(matrix.detections),
        "published_figures": _published(matrix.published),
    }
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _tables(tables: Tables) -> dict[str, Any]:
    """Columns and rows; a row has a cell for every column's id."""
    return {
        "columns": [_column(column) for table in tables for column in table.columns],
        "rows": [
            _row(row) | {"cells": {c.id: _cell(table.cell(row, c)) for table in tables for c in table.columns}}
            for row in tables.real.rows
        ],
    }


def _column(column: TableColumn) -> dict[str, Any]:
    return {
        "id": column.id,
        "title": column.title,
        "emulated": column.emulated,
        "target": column.of.target,
        "hardware": column.of.hardware,
        "sdk": column.of.sdk,
        "settings": list(column.of.settings),
        "workarounds": list(column.of.workarounds),
    }


def _row(row: MatrixRow) -> dict[str, Any]:
    subject = row.subject
    return {
        "subject": str(subject),
        "model": subject.model,
        "system": subject.system,
        "variant": subject.variant,
        "task": subject.task,
        "weights": subject.weights,
        "batch": subject.batch,
        "height": subject.height,
        "width": subject.width,
        "dtype": subject.dtype,
        "workarounds": list(row.workarounds),
    }


def _cell(cell: Cell) -> dict[str, Any]:
    record = cell.record
    if record is None:
        return {"status": NOT_TESTED}
    worst = record.groups[record.worst_group] if record.worst_group else None
    return {
        "status": cell.status,
        "stage": record.stage.value,
        "text": str(cell.text),
        "first_bad_layer": record.first_bad_layer,
        "worst_group": record.worst_group,
        "noise_ratio": _number(worst.noise_ratio) if worst else None,
        "error": _number(worst.worst_error) if worst else None,
        "severity": severity(worst.worst_error).value if worst and worst.bad else None,
        "cosine": _number(worst.cosine) if worst else None,
        "checks": [_plain(check) for check in record.checks],
        "invented": record.invented,
        "signature": record.signature,
        "defects": list(cell.defects),
        "evidence": cell.evidence,
        "same_program_as": record.same_program_as,
        "detections": _plain(record.detections) if record.detections else None,
        "conditioning": {dtype: _plain(found) for dtype, found in record.conditioning.items()},
        "notes": record.notes,
        "command": record.command,
        "id": record.id,
    }


def _isolated(layers: IsolatedLayers) -> dict[str, Any]:
    return {
        "subject": str(layers.row.subject),
        "column": _column(layers.column),
        "layers": layers.total,
        "pass": layers.passed,
        "not_passing": [
            {
                "path": layer.path,
                "type": layer.type,
                "noise_ratio": _number(layer.figures.noise_ratio) if layer.figures else None,
                "status": layer.cell.status,
                "cell": _cell(layer.cell),
            }
            for layer in layers.rest
        ],
    }


def _defect(known: KnownDefect) -> dict[str, Any]:
    return {
        "id": known.id,
        "title": known.title,
        "known": known.defect.known if known.defect else None,
        "evidence": known.defect.evidence.value if known.defect else None,
        "seen": known.defect.seen if known.defect else None,
        "packages": dict(known.defect.packages) if known.defect else {},
        "workarounds": dict(known.workarounds),
        "links": list(known.links),
        "model_cells": {"real": known.real_cells, "emulated": known.emulated_cells},
        "minimal_cases": _tables(known.minimal),
    }


def _missed(miss: Missed) -> dict[str, Any]:
    return {
        "subject": str(miss.row.subject),
        "column": miss.column.id,
        "emulated": miss.column.emulated,
        "rule": miss.gate.rule,
        "gate_cosine": _number(miss.gate.cosine),
        "worst_group": miss.worst_group,
        "noise_ratio": _number(miss.worst.noise_ratio) if miss.worst else None,
        "cosine": _number(miss.worst.cosine) if miss.worst else None,
        "id": miss.cell.record.id if miss.cell.record else None,
    }


def _gate(gate: Gate) -> dict[str, int]:
    return {"wrong": gate.wrong, "passed_by_the_gate": len(gate.missed)}


def _published(published: Published) -> dict[str, Any]:
    return {
        "source": _plain(published.source),
        "about": ABOUT,
        "figures": [_compared(compared) for compared in published.figures],
    }


def _compared(compared: Compared) -> dict[str, Any]:
    """What is not known, for want of a record, is null."""
    record, (answer, why) = compared.cell.record, compared.explained
    worst = record.worst_group if record else None
    return {
        "figure": compared.name,
        "published": _plain(compared.figure),
        "id": record.id if record else None,
        "status": compared.cell.status,
        "cosine": {name: _number(value) for name, value in compared.cosines.items()},
        "worst_group": worst,
        "worst_cosine": _number(record.groups[worst].cosine) if record and worst else None,
        "first_bad_layer": record.first_bad_layer if record else None,
        "defect_strikes": compared.triggered,
        "with_workarounds": compared.with_workarounds,
        "defect_explains": answer.value,
        "why": why,
    }


def _plain(found: BaseModel) -> Any:
    """As JSON has it: with strings for what is not finite."""
    return json.loads(found.model_dump_json())


def _totals(table: MatrixTable) -> dict[str, int]:
    statuses = table.statuses
    return {"cells": len(statuses)} | counts(statuses)


def _number(value: float) -> float | str:
    if math.isnan(value):
        return "NaN"
    return value if math.isfinite(value) else ("Infinity" if value > 0 else "-Infinity")
