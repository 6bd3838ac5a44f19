"""The matrix as Markdown, for a repository's web page."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator

from conformance.report import detections, published
from conformance.report.baseline_gate import Gate
from conformance.report.defect_pages import KnownDefect
from conformance.report.formatting import (
    HEADINGS,
    cosine_text,
    error_text,
    markdown_table,
    one_line,
    plural,
    ratio,
    totals,
)
from conformance.report.isolated import IsolatedLayers
from conformance.report.matrix import Matrix
from conformance.report.published import Compared
from conformance.report.table import Cell, MatrixTable, TableColumn, Tables

_COLUMNS_SIDE_BY_SIDE = 8


def as_markdown(matrix: Matrix) -> str:
    """The whole file."""
    blocks = [
        "# Compatibility matrix",
        f"Generated {matrix.generated:%Y-%m-%d %H:%M} {matrix.generated.tzname() or ''}".rstrip() + ".",
        _bullets(f"**{t.heading.split()[0]}**, {totals(t.statuses)}" for t in matrix.models),
        "## Models",
        *_models(matrix.models, matrix),
        *_measured_with(matrix),
        "## The same cells with workarounds on",
        *_models(matrix.with_workarounds, matrix),
        *_isolated(matrix),
        *_detections(matrix),
        "## Known defects",
        *([] if matrix.seen_defects else ["No defect appears in the records."]),
        *(block for known in matrix.seen_defects for block in _defect(known, matrix)),
        "## What the published gate would have said",
        *(block for gate in matrix.gates for block in _gate(gate)),
        *_published(matrix),
        *_commands(matrix),
    ]
    return "\n\n".join(blocks) + "\n"


def _models(tables: Tables, matrix: Matrix) -> Iterator[str]:
    for table in tables:
        yield f"### {table.heading}"
        if not table.columns:
            yield "No cell was run."
        for part in table.split(_COLUMNS_SIDE_BY_SIDE):
            yield _model_table(part, matrix)


def _model_table(table: MatrixTable, matrix: Matrix) -> str:
    head = ["model", "batch", "resolution", "dtype", *map(_heading, table.columns)]
    return markdown_table(
        head,
        (
            [
                escape(row.name),
                str(row.subject.batch),
                escape(row.subject.resolution),
                escape(row.dtype),
                *(_cell(table.cell(row, column), matrix) for column in table.columns),
            ]
            for row in table.rows
        ),
    )


def _measured_with(matrix: Matrix) -> Iterator[str]:
    if matrix.measured_with:
        yield "Measured with:"
        yield _bullets(f"{escape(column.title)}: {escape(text)}" for column, text in matrix.measured_with)


def _isolated(matrix: Matrix) -> Iterator[str]:
    yield "## Isolated layers"
    yield "Each layer compiled alone and fed with the reference's own inputs."
    for emulated in (False, True):
        yield f"### {HEADINGS[emulated]}"
        rows = matrix.isolated_on(emulated)
        lines = ([escape(str(r.row.subject)), escape(r.column.title), r.summary, _rest(r)] for r in rows)
        yield (
            markdown_table(["model", "column", "layers", "not passing"], lines) if rows else "No layer was run alone."
        )


def _rest(layers: IsolatedLayers) -> str:
    return "<br>".join(_link(layer.text, layer.cell.anchor) for layer in layers.rest)


def _detections(matrix: Matrix) -> Iterator[str]:
    yield "## Detections"
    yield detections.ABOUT
    if not matrix.detections.real.rows:
        yield "No detections of trained weights were seen."
    for table in matrix.detections:
        if table.columns:
            yield f"### {table.heading}"
            lines = (
                [
                    escape(str(row.subject)),
                    escape(column.title),
                    _cell(cell, matrix),
                    *map(escape, detections.figures(cell)),
                ]
                for row, column, cell in table.cells()
            )
            yield markdown_table(["model", "column", "came to", *detections.HEADINGS], lines)


def _defect(known: KnownDefect, matrix: Matrix) -> Iterator[str]:
    yield f'### <a id="{known.anchor}"></a>{escape(known.id)}: {escape(known.title)}'
    if known.defect:
        yield escape(known.defect.known)
    yield _bullets(_facts(known))
    for table in known.minimal:
        if table.columns:
            yield f"Minimal cases, {table.heading[0].lower()}{table.heading[1:]}:"
        for part in table.split(_COLUMNS_SIDE_BY_SIDE):
            yield _minimal_table(part, matrix)


def _facts(known: KnownDefect) -> Iterator[str]:
    if known.defect:
        yield f"Evidence: {escape(known.evidence)}"
        yield f"Shows in: {escape(known.shows_in)}"
    yield f"Seen in models: {known.seen}"
    if known.packages:
        yield f"Affected: {', '.join(map(escape, known.packages))}"
    if known.releases:
        yield f"Releases: {escape(known.releases)}"
    yield from (f"Workaround **{escape(name)}**: {escape(title)}" for name, title in known.workarounds)
    yield from (f"Minimal case **{escape(name)}**: {escape(title)}" for name, title in known.minimal_cases)
    yield from (f"<{link}>" for link in known.links)


def _minimal_table(table: MatrixTable, matrix: Matrix) -> str:
    head = ["minimal case", "workaround", *map(_heading, table.columns)]
    return markdown_table(
        head,
        (
            [
                escape(f"{row.name} {row.size}"),
                escape(" + ".join(row.workarounds) or "none"),
                *(_cell(table.cell(row, column), matrix, defects=False) for column in table.columns),
            ]
            for row in table.rows
        ),
    )


def _gate(gate: Gate) -> Iterator[str]:
    yield f"### {HEADINGS[gate.emulated]}"
    yield f"{gate.summary}."
    if not gate.missed:
        return
    worst = ("worst group", "its error ratio", "its error", "its cosine")
    head = ["model", "column", "gate's rule", "gate's cosine", *worst]
    yield markdown_table(
        head,
        (
            [
                _link(str(miss.row.subject), miss.cell.anchor),
                escape(miss.column.title),
                escape(miss.gate.rule),
                f"{cosine_text(miss.gate.cosine)} passes",
                escape(miss.worst_group or "unknown"),
                ratio(miss.worst.noise_ratio) if miss.worst else "unknown",
                error_text(miss.worst) if miss.worst else "unknown",
                cosine_text(miss.worst.cosine) if miss.worst else "unknown",
            ]
            for miss in gate.missed
        ),
    )


def _published(matrix: Matrix) -> Iterator[str]:
    source = matrix.published.source
    yield "## Published figures"
    yield f"{escape(source.title)}, measured on {escape(source.measured_on)}: <{source.link}>"
    yield published.ABOUT
    yield f"{matrix.published.summary}."
    yield markdown_table(published.HEADINGS, map(_compared, matrix.published.figures))


def _compared(compared: Compared) -> list[str]:
    name, figure, case, *rest = map(escape, compared.cells)
    return [name, figure, f"[{case}](#{compared.cell.anchor})" if compared.cell.record else case, *rest]


def _commands(matrix: Matrix) -> Iterator[str]:
    cells = list(matrix.tested_cells())
    yield "## Commands"
    yield f"<details>\n<summary>Commands that reproduce each cell ({plural(len(cells), 'cell')})</summary>"
    for cell in cells:
        if cell.record:
            text = f"{escape(cell.record.id)}: {escape(str(cell.text))}{_defects(cell, matrix)}"
            yield f'<a id="{cell.anchor}"></a>{text}\n\n{_fenced(cell.record.command)}'
    yield "</details>"


def _cell(cell: Cell, matrix: Matrix, *, defects: bool = True) -> str:
    if cell.record is None:
        return escape(str(cell.text))
    return _link(str(cell.text), cell.anchor) + (_defects(cell, matrix) if defects else "")


def _defects(cell: Cell, matrix: Matrix) -> str:
    links = (_link(id_, matrix.defect_anchors[id_]) for id_ in cell.defects)
    return "".join(f"<br>{link}" for link in links)


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _heading(column: TableColumn) -> str:
    return "<br>".join(map(escape, column.lines))


def _link(text: str, anchor: str) -> str:
    return f"[{escape(text)}](#{anchor})"


def _fenced(command: str) -> str:
    """A code block that the command cannot end."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", command)), default=0))
    return f"{fence}sh\n{command}\n{fence}"


def escape(text: str) -> str:
    """The text in one line, with nothing in it that Markdown or HTML would act on."""
    marked = re.sub(r"([\\`*\[\]|~]|(?<!\w)_|_(?!\w))", r"\\\1", one_line(text))
    return html.escape(marked, quote=False)
