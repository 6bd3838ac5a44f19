"""The matrix in a terminal, in tables as wide as the terminal allows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from rich import box
from rich.console import Console
from rich.rule import Rule
from rich.table import Table as Grid
from rich.text import Text

from conformance.cases.outcome import Record
from conformance.report.gate import Gate
from conformance.report.known import KnownDefect
from conformance.report.matrix import Matrix
from conformance.report.table import Cell, Row, Table, Tables
from conformance.report.words import KINDS, NOT_MEASURED, NOT_TESTED, cosine, one_line, ratio, totals

_STYLES = {"pass": "green", NOT_TESTED: "dim", "not_run": "dim", "wrong": "red", "nonfinite": "red"}
_LABEL_WIDTH = 24
_CELL_WIDTH = 19
_GATE_ROWS = 10


@dataclass
class Notes:
    """Commands of the cells that failed, numbered as they are met."""

    records: list[Record] = field(default_factory=list)

    def number(self, record: Record) -> int:
        """The number of a record."""
        self.records.append(record)
        return len(self.records)


def print_matrix(matrix: Matrix, console: Console) -> None:
    """Print all of it; the totals come last, where the terminal stops."""
    notes = Notes()
    _print_tables(matrix.models, console, notes)
    for column, versions in matrix.measured_with:
        console.print(Text(f"{column.title} was measured with {versions}"))
    if any(table.columns for table in matrix.with_workarounds):
        console.print(Rule("The same cells with workarounds on"))
        _print_tables(matrix.with_workarounds, console, notes)
    _print_isolated(matrix, console)
    for known in matrix.defects:
        _print_defect(known, console)
    _print_gates(matrix, console)
    _print_commands(notes, console)
    for table in matrix.models:
        console.print(Text(f"{_kind(table.emulated):8} {totals(table.statuses)}", "bold"))


def _print_tables(tables: Tables, console: Console, notes: Notes | None) -> None:
    for table in tables:
        if table.columns:
            console.print(Text(_heading(table.emulated), _kind_style(table)))
            limit = max(1, (console.width - _LABEL_WIDTH) // _CELL_WIDTH)
            for part in table.split(limit):
                console.print(_grid(part, notes))
        elif table.rows:
            console.print(Text(f"{_kind(table.emulated)}: no cell was run", "dim"))


def _grid(table: Table, notes: Notes | None) -> Grid:
    grid = Grid(
        box=box.ASCII2 if table.emulated else box.ROUNDED,
        border_style=_kind_style(table),
        show_lines=True,
    )
    grid.add_column("", overflow="fold", max_width=_LABEL_WIDTH)
    for column in table.columns:
        grid.add_column(Text("\n".join(column.lines)), overflow="fold")
    for row in table.rows:
        grid.add_row(_label(row), *(_cell(table.cell(row, column), notes) for column in table.columns))
    return grid


def _kind_style(table: Table) -> str:
    return "magenta" if table.emulated else "cyan"


def _kind(emulated: bool) -> str:
    return KINDS[emulated].upper()


def _heading(emulated: bool) -> str:
    return f"{_kind(emulated)} ({NOT_MEASURED})" if emulated else _kind(emulated)


def _label(row: Row) -> Text:
    return Text("\n".join((one_line(row.name), row.size, *(f"+ {name}" for name in row.workarounds))))


def _cell(cell: Cell, notes: Notes | None) -> Text:
    text = Text(str(cell.text), _STYLES.get(cell.status, "yellow"))
    for id_ in cell.defects if notes else ():
        text.append(f"\n{one_line(id_)}", "dim")
    if notes and cell.record and cell.failed:
        text.append(f" [{notes.number(cell.record)}]", "dim")
    return text


def _print_isolated(matrix: Matrix, console: Console) -> None:
    for emulated in (False, True):
        found = matrix.isolated_on(emulated)
        if found:
            console.print(Rule(f"Isolated layers, {_heading(emulated)}"))
        for layers in found:
            console.print(Text(f"{one_line(layers.row.subject)} @ {layers.column.title}: {layers.summary}"))
            for layer in layers.rest:
                console.print(Text(f"  {one_line(layer.text)}", _STYLES.get(layer.cell.status, "yellow")))


def _print_defect(known: KnownDefect, console: Console) -> None:
    console.print(Rule(Text(f"Known defect {one_line(known.id)}")))
    console.print(Text(known.title, "bold"))
    if known.defect:
        console.print(Text(known.defect.known))
        console.print(Text(f"Evidence: {known.defect.evidence}"))
    console.print(Text(f"Seen in models: {known.seen}"))
    if known.packages:
        console.print(Text(f"Affected: {', '.join(known.packages)}"))
    for name, title in known.workarounds:
        console.print(Text(f"Workaround {name}: {title}"))
    for name, title in known.minimal_cases:
        console.print(Text(f"Minimal case {name}: {title}"))
    for link in known.links:
        console.print(Text(link, f"link {link}"))
    if any(table.columns for table in known.minimal):
        _print_tables(known.minimal, console, None)


def _print_gates(matrix: Matrix, console: Console) -> None:
    if any(gate.wrong for gate in matrix.gates):
        console.print(Rule("What the published gate would have said"))
    for gate in matrix.gates:
        if gate.wrong:
            console.print(Text(f"{_kind(gate.emulated)}: {gate.summary}", "bold"))
            for line in _missed(gate):
                console.print(Text(line))


def _missed(gate: Gate) -> Iterator[str]:
    for miss in gate.missed[:_GATE_ROWS]:
        worst = ""
        if miss.worst_group and miss.worst:
            figures = f"cosine {cosine(miss.worst.cosine)}, noise ratio {ratio(miss.worst.noise_ratio)}"
            worst = f", but {one_line(miss.worst_group)}: {figures}"
        gate_says = f"gate's cosine {cosine(miss.gate.cosine)}"
        yield f"  {one_line(miss.row.subject)} @ {miss.column.title}: {gate_says}{worst}"
    if len(gate.missed) > _GATE_ROWS:
        yield f"  and {len(gate.missed) - _GATE_ROWS} more"


def _print_commands(notes: Notes, console: Console) -> None:
    if notes.records:
        console.print(Rule("Commands that reproduce what failed"))
    for number, record in enumerate(notes.records, 1):
        console.print(Text(f"[{number}] {record.command}"), soft_wrap=True)
