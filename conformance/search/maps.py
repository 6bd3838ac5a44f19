"""A map as a person looks at it: in a terminal, as SVG, as a page."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from rich.table import Table
from rich.text import Text

from conformance.cases.outcome import UNDECIDED, Record, Status
from conformance.search.sweep import Map

_CELL, _LEFT, _TOP = (96, 34), 70, 60  # pixels
_COLOURS = {"right": "#2e7d32", "wrong": "#c62828", "undecided": "#9e9e9e"}


def table(of: Map) -> Table:
    """For a terminal: a row for each batch; what was not tried is in brackets."""
    shown = Table(title=of.title, title_justify="left")
    shown.add_column("batch", justify="right")
    for height, width in of.sizes:
        shown.add_column(f"{height}x{width}" if height else "", overflow="fold")
    for row, batch in enumerate(of.batches):
        cells = []
        for column in range(len(of.sizes)):
            kind, said = _kind(of.shown((row, column))), _word(of.shown((row, column)))
            tried = of.record((row, column)) is not None
            style = {"right": "green", "wrong": "bold red"}.get(kind, "dim")
            cells.append(Text(said if tried else f"({said})", style if tried else f"{style} dim"))
        shown.add_row(str(batch), *cells)
    return shown


def html(found: Sequence[Map]) -> str:
    """A page with all maps."""
    style = "body{font:14px system-ui;margin:2em;color-scheme:light dark}svg{max-width:100%}"
    body = "".join(
        f"<h2>{escape(one.title)}</h2>{svg(one)}<ul>{''.join(f'<li>{escape(line)}' for line in one.borders())}</ul>"
        for one in found
    )
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>Where it is right</title><style>{style}</style><h1>Where it is right</h1>"
        f"<p>Pale cells were not tried: all around them says the same.</p>{body}</html>\n"
    )


def svg(of: Map) -> str:
    """A cell for each batch and size, by colour and word; pale where it was not tried."""
    width, height = _LEFT + _CELL[0] * len(of.sizes), _TOP + _CELL[1] * len(of.batches)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" role="img" '
        f'font-size="12" font-family="system-ui, sans-serif" fill="currentColor"><title>{escape(of.title)}</title>'
        f'<text x="4" y="{_TOP - 10}">batch</text>'
    ]
    for column, (tall, wide) in enumerate(of.sizes):
        x = _LEFT + _CELL[0] * (column + 0.5)
        parts.append(f'<text x="{x}" y="{_TOP - 10}" text-anchor="middle">{f"{tall}x{wide}" if tall else ""}</text>')
    for row, batch in enumerate(of.batches):
        y = _TOP + _CELL[1] * row
        parts.append(f'<text x="{_LEFT - 12}" y="{y + 21}" text-anchor="end">{batch}</text>')
        for column in range(len(of.sizes)):
            parts.append(_cell(of, (row, column), _LEFT + _CELL[0] * column, y))
    return "".join([*parts, "</svg>"])


def _cell(of: Map, point: tuple[int, int], x: int, y: int) -> str:
    record, tried = of.shown(point), of.record(point) is not None
    said = record.summary if tried else f"not tried, taken to be as {record.id}: {record.summary}"
    paint = f'fill="{_COLOURS[_kind(record)]}" fill-opacity="{0.9 if tried else 0.35}"'
    word = f'<text x="{x + _CELL[0] / 2 - 1}" y="{y + 21}" text-anchor="middle"'
    return (
        f"<g><title>{escape(of.cases[point].id)}: {escape(said)}</title>"
        f'<rect x="{x}" y="{y}" width="{_CELL[0] - 2}" height="{_CELL[1] - 2}" rx="3" {paint}/>'
        f'{word} fill="{"#fff" if tried else "currentColor"}">{escape(_word(record))}</text></g>'
    )


def _kind(record: Record) -> str:
    if record.status in UNDECIDED:
        return "undecided"
    return "right" if record.status is Status.PASS else "wrong"


def _word(record: Record) -> str:
    """`pass`, `wrong`, or the signature of an error."""
    if record.status in (Status.ERROR, Status.CRASH) and record.signature:
        return record.signature[:14]
    return record.status.value.replace("_", " ")
