"""What users of a detector would see: of models with trained weights, the detections that are kept, lost, made up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from conformance.cases.outcome import DetectionCounts, Record
from conformance.report.formatting import cell_text, precision, share
from conformance.report.table import Cell, Tables, column_of, row_of, tables

CONFIDENCE = 0.25
HEADINGS = ("reference", "kept", "lost", "spurious", "AP", "AP of the reference")
ABOUT = (
    f"Of models with trained weights, at confidence {CONFIDENCE}: the reference's detections that are kept and lost, "
    "those that are spurious, and average precision (0 to 1, IoU 0.5 to 0.95) of the column and of the reference."
)


def detections(models: Iterable[Record], anchor_of: Mapping[str, str]) -> Tables:
    """The rows with trained weights of which a column's detections were seen, x the columns that have any of them."""
    trained = [record for record in models if record.subject.weights]
    seen = {row_of(record, workarounds=False) for record in trained if record.detections}
    cells = {
        (row, column_of(record, workarounds=True)): Cell(record, anchor_of[record.id])
        for record in trained
        if (row := row_of(record, workarounds=False)) in seen
    }
    return tables(seen, (column for _, column in cells), cells)


def figures(cell: Cell) -> tuple[str, ...]:
    """What is under HEADINGS; of a cell whose detections were not seen, that they were not tested."""
    found = cell.record.detections if cell.record else None
    count = counts_at(cell)
    if found is None or count is None:
        return (str(cell_text(None)),) * len(HEADINGS)
    return (
        str(count.reference),
        share(count.kept, count.reference),
        str(count.lost),
        str(count.spurious),
        precision(found.ap),
        precision(found.reference_ap),
    )


def sentence(cell: Cell) -> str:
    """`44.7 % of 512 kept, 283 lost, 12 spurious; AP 0.210, of the reference 0.655`."""
    if counts_at(cell) is None:
        return str(cell_text(None))
    reference, kept, lost, spurious, ap, reference_ap = figures(cell)
    return f"{kept} of {reference} kept, {lost} lost, {spurious} spurious; AP {ap}, of the reference {reference_ap}"


def counts_at(cell: Cell) -> DetectionCounts | None:
    """The counts at CONFIDENCE; None where they were not made."""
    found = cell.record.detections if cell.record else None
    return next((count for count in found.counts if count.confidence == CONFIDENCE), None) if found else None
