"""The matrix in a terminal: columns that say the same are one, and the details are in the other forms."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from rich import box
from rich.console import Console
from rich.rule import Rule
from rich.table import Table as Grid
from rich.text import Text

from conformance.cases.outcome import Record
from conformance.report import detections, published
from conformance.report.baseline_gate import Gate
from conformance.report.defect_pages import KnownDefect
from conformance.report.formatting import (
    KINDS,
    NOT_MEASURED,
    NOT_TESTED,
    cosine_text,
    one_line,
    ratio_and_error,
    totals,
)
from conformance.report.isolated import IsolatedLayers
from conformance.report.matrix import Matrix
from conformance.report.table import Cell, MatrixRow, MatrixTable, TableColumn, Tables, merged_lines

_STYLES = {
    "pass": "green",
    **dict.fromkeys((NOT_TESTED, "not_run", "unsupported", "not_judged"), "dim"),
    **dict.fromkeys(("wrong", "nonfinite", "mismatch"), "red"),
}
_LABEL_WIDTH = 32
_CELL_WIDTH = 22
_GATE_ROWS = 5


@dataclass
class Notes:
    """Commands of the cells that failed, numbered as they are met."""

    records: list[Record] = field(default_factory=list)

    def number(self, record: Record) -> int:
        """The number of a record."""
        self.records.append(record)
        return len(self.records)


def print_matrix(matrix: Matrix, console: Console) -> None:
    """Print what matters at a glance; the totals come last, where the terminal stops."""
    notes = Notes()
    _print_tables(matrix.models, console, notes)
    for column, versions in matrix.measured_with:
        console.print(Text(f"{column.title} was measured with {versions}"))
    if any(table.columns for table in matrix.with_workarounds):
        console.print(Rule("The same cells with workarounds on"))
        _print_tables(matrix.with_workarounds, console, notes)
    _print_isolated(matrix, console)
    _print_detections(matrix, console)
    for known in matrix.seen_defects:
        _print_defect(known, console)
    _print_gates(matrix, console)
    _print_published(matrix, console)
    _print_commands(notes, console)
    for table in matrix.models:
        console.print(Text(f"{_kind(table.emulated):8} {totals(table.statuses)}", "bold"))


def _print_tables(tables: Tables, console: Console, notes: Notes) -> None:
    for table in tables:
        if table.columns:
            console.print(Text(_heading(table.emulated), _kind_style(table)))
            merged = table.merged()
            limit = max(1, (console.width - _LABEL_WIDTH) // _CELL_WIDTH)
            for start in range(0, len(merged), limit):
                console.print(_grid(table, merged[start : start + limit], notes))
        elif table.rows:
            console.print(Text(f"{_kind(table.emulated)}: no cell was run", "dim"))


def _grid(table: MatrixTable, columns: list[tuple[TableColumn, ...]], notes: Notes) -> Grid:
    """A table in which each of `columns` stands for all that say the same."""
    grid = Grid(box=box.ASCII2 if table.emulated else box.ROUNDED, border_style=_kind_style(table))
    grid.add_column("", overflow="fold", max_width=_LABEL_WIDTH)
    for alike in columns:
        grid.add_column(Text("\n".join(merged_lines(alike))), overflow="fold")
    for row in table.rows:
        grid.add_row(_label(row), *(_cell(table.cell(row, alike[0]), notes) for alike in columns))
    return grid


def _kind_style(table: MatrixTable) -> str:
    return "magenta" if table.emulated else "cyan"


def _kind(emulated: bool) -> str:
    return KINDS[emulated].upper()


def _heading(emulated: bool) -> str:
    return f"{_kind(emulated)} ({NOT_MEASURED})" if emulated else _kind(emulated)


def _label(row: MatrixRow) -> Text:
    return Text(f"{one_line(row.name)} {row.size}")


def _cell(cell: Cell, notes: Notes) -> Text:
    text = Text(str(cell.text), _STYLES.get(cell.status, "yellow"))
    for id_ in cell.defects:
        text.append(f" {one_line(id_)}", "dim")
    if cell.record and cell.failed:
        text.append(f" [{notes.number(cell.record)}]", "dim")
    return text


def _print_isolated(matrix: Matrix, console: Console) -> None:
    if matrix.isolated:
        console.print(Rule("Isolated layers, compiled alone and fed with the reference's inputs"))
    alike: dict[object, list[IsolatedLayers]] = {}
    for layers in matrix.isolated:
        said = (layers.summary, tuple(layer.text for layer in layers.rest))
        alike.setdefault((layers.row, layers.column.of.target, layers.column.of.workarounds, said), []).append(layers)
    for same in alike.values():
        console.print(Text(f"{_who(same[0].row, [layers.column for layers in same])}: {same[0].summary}"))
        for layer in same[0].rest:
            console.print(Text(f"  {one_line(layer.text)}", _STYLES.get(layer.cell.status, "yellow")))


def _who(row: MatrixRow, columns: Sequence[TableColumn]) -> str:
    """`EMULATED yolo26n-detect/b2/320x320/fp32 @ emulator, inf2 SDK 2.28.0 2.29.1 + slice`: columns shown as one."""
    kind = f"{_kind(True)} " if columns[0].emulated else ""
    return f"{kind}{one_line(str(row.subject))} @ " + ", ".join(merged_lines(columns)).replace(", + ", " + ")


def _print_detections(matrix: Matrix, console: Console) -> None:
    if matrix.detections.real.rows:
        console.print(Rule(f"Detections of models with trained weights, at confidence {detections.CONFIDENCE}"))
    alike: dict[tuple[MatrixRow, str, tuple[str, ...], tuple[str, str]], list[TableColumn]] = {}
    for table in matrix.detections:
        for row, column, cell in table.cells():
            said = f"{cell.text.mark} {cell.text.word}", detections.sentence(cell)
            alike.setdefault((row, column.of.target, column.of.workarounds, said), []).append(column)
    for (row, _, _, said), columns in alike.items():
        console.print(Text(f"{_who(row, columns)}: {'; '.join(dict.fromkeys(said))}"))


def _print_defect(known: KnownDefect, console: Console) -> None:
    console.print(Rule(Text(f"Known defect {one_line(known.id)}")))
    console.print(Text(known.title, "bold"))
    if known.defect:
        console.print(Text(known.defect.known))
        console.print(Text(f"Evidence: {known.evidence}"))
    console.print(Text(f"Seen in models: {known.seen}"))
    if known.packages:
        console.print(Text(f"Affected: {', '.join(known.packages)}"))
    for name, title in known.workarounds:
        console.print(Text(f"Workaround {name}: {title}"))
    for table in known.minimal:
        if table.columns:
            console.print(Text(f"Minimal cases, {_kind(table.emulated)}: {totals(table.statuses)}"))
    for link in known.links:
        console.print(Text(link, f"link {link}"))


def _print_gates(matrix: Matrix, console: Console) -> None:
    if any(gate.wrong for gate in matrix.gates):
        console.print(Rule("What the published gate would have said"))
    for gate in matrix.gates:
        if gate.wrong:
            console.print(Text(f"{_kind(gate.emulated)}: {gate.summary}", "bold"))
            for line in _missed(gate):
                console.print(Text(line))


def _print_published(matrix: Matrix, console: Console) -> None:
    tested = [compared for compared in matrix.published.figures if compared.cell.record]
    if tested:
        console.print(Rule("Published figures"))
        console.print(Text(f"{matrix.published.summary}", "bold"))
        console.print(Text(published.ABOUT))
    for compared in tested:
        name, figure, case, ours, *_, answer = map(one_line, compared.cells)
        console.print(Text(f"  {name}: {figure}; {case}: {ours}; {answer}"))


def _missed(gate: Gate) -> Iterator[str]:
    for miss in gate.missed[:_GATE_ROWS]:
        worst = ""
        if miss.worst_group and miss.worst:
            figures = f"cosine {cosine_text(miss.worst.cosine)}, {ratio_and_error(miss.worst)}"
            worst = f", but {one_line(miss.worst_group)}: {figures}"
        gate_says = f"gate's cosine {cosine_text(miss.gate.cosine)}"
        yield f"  {one_line(str(miss.row.subject))} @ {miss.column.title}: {gate_says}{worst}"
    if len(gate.missed) > _GATE_ROWS:
        yield f"  and {len(gate.missed) - _GATE_ROWS} more"


def _print_commands(notes: Notes, console: Console) -> None:
    if notes.records:
        console.print(Rule("Commands that reproduce what failed"))
    for number, record in enumerate(notes.records, 1):
        console.print(Text(f"[{number}] {record.command}"), soft_wrap=True)
