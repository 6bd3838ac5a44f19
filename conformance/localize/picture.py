"""A budget as a person looks at it: in a terminal, as SVG, as a page."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from math import floor, isfinite, log10

from rich.table import Table
from rich.text import Text

from conformance.localize.budget import Budget, Row

_BAR = 20  # characters
_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM = 960, 420, 60, 30, 130  # pixels
_COLOURS = {"in place": "#1565c0", "alone": "#ef6c00"}


def table(found: Budget) -> Table:
    """For a terminal; the first bad layer is marked."""
    shown = Table(title=f"{found.case}: {found.group} is {found.error:.2g} from the reference", title_justify="left")
    for name in ("layer", "in place", "alone", "error left", "share", ""):
        shown.add_column(name, justify="left" if name in ("layer", "") else "right", overflow="fold")
    for row in found.rows:
        first = row.layer == found.first_bad_layer
        layer = Text(f"{'✗ ' if first else ''}{row.layer} ({row.type})", "bold red" if first else "")
        bar = "█" * round(_BAR * (row.share or 0))
        share = "" if row.share is None else f"{row.share:.1%}"
        shown.add_row(layer, _ratio(row.in_place), _ratio(row.alone), _ratio(row.left), share, bar)
    return shown


def html(found: Budget) -> str:
    """A page of its own: the picture and the figures."""
    rows = "".join(_cells(row, row.layer == found.first_bad_layer) for row in found.rows)
    style = (
        "body{font:14px system-ui;margin:2em;color-scheme:light dark}td,th{text-align:right;padding:.2em .7em}"
        "td:nth-child(-n+2),th:nth-child(-n+2){text-align:left}.bad{color:#c62828;font-weight:bold}svg{max-width:100%}"
    )
    head = "".join(f"<th>{name}" for name in ("layer", "type", "in place", "alone", "error left", "share"))
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>{escape(found.case)}</title><style>{style}</style><h1>Where the error comes from</h1>"
        f"<p>{escape(found.case)}: {escape(found.group)} is {found.error:.2g} from the reference (relative L2, worst "
        f"image).</p>{svg(found)}<table><tr>{head}{rows}</table></html>\n"
    )


def _cells(row: Row, first: bool) -> str:
    share = "" if row.share is None else f"{row.share:.1%}"
    said = (escape(row.layer), escape(row.type), _ratio(row.in_place), _ratio(row.alone), _ratio(row.left), share)
    return f"<tr{' class=bad' if first else ''}>" + "".join(f"<td>{text}" for text in said)


def svg(found: Budget) -> str:
    """Error ratios of the layers, in place and alone, on a logarithmic scale, and under them each layer's share of
    the final error; the first bad layer is marked."""
    values = [value for row in found.rows for name in _COLOURS if (value := _of(row, name)) is not None]
    low, high = (floor(log10(min(values, default=1))), floor(log10(max(values, default=1))) + 1)
    step = (_WIDTH - _LEFT) / max(1, len(found.rows))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT + 60}" role="img" font-size="11" '
        f'font-family="system-ui, sans-serif" fill="currentColor"><title>{escape(found.case)}</title>',
        *_scale(low, high),
    ]
    for index, row in enumerate(found.rows):
        parts += _column(row, _LEFT + (index + 0.5) * step, step, row.layer == found.first_bad_layer, low, high)
    for name, colour in _COLOURS.items():
        points = [
            f"{_LEFT + (index + 0.5) * step:.1f},{_height(value, low, high):.1f}"
            for index, row in enumerate(found.rows)
            if (value := _of(row, name)) is not None
        ]
        parts.append(f'<polyline points="{" ".join(points)}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
    for index, (name, colour) in enumerate({**_COLOURS, "share of the final error": "#9e9e9e"}.items()):
        parts.append(f'<rect x="{_LEFT + 150 * index}" y="6" width="10" height="10" fill="{colour}"/>')
        parts.append(f'<text x="{_LEFT + 14 + 150 * index}" y="15">{name}</text>')
    return "".join([*parts, "</svg>"])


def _scale(low: int, high: int) -> Iterator[str]:
    for power in range(low, high + 1, max(1, (high - low) // 8)):
        y = _height(10.0**power, low, high)
        yield f'<line x1="{_LEFT}" x2="{_WIDTH}" y1="{y:.1f}" y2="{y:.1f}" stroke="#8884"/>'
        yield f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">1e{power}</text>'


def _column(row: Row, x: float, step: float, first: bool, low: int, high: int) -> Iterator[str]:
    base = _HEIGHT - _BOTTOM
    colour = "#c62828" if first else "#9e9e9e"
    if row.share:
        tall = 60 * row.share
        yield f'<rect x="{x - step / 3:.1f}" y="{base + 70 - tall:.1f}" width="{step / 1.5:.1f}" height="{tall:.1f}" '
        yield f'fill="{colour}"><title>{escape(row.layer)}: {row.share:.1%}</title></rect>'
    for name, dot in _COLOURS.items():
        if (value := _of(row, name)) is not None:
            said = f"{row.layer} {name}: {_ratio(value)}"
            yield f'<circle cx="{x:.1f}" cy="{_height(value, low, high):.1f}" r="3" fill="{dot}">'
            yield f"<title>{escape(said)}</title></circle>"
    mark = ' fill="#c62828" font-weight="bold"' if first else ""
    where = f"{x:.1f} {base + 82}"
    yield f'<text transform="translate({where}) rotate(60)"{mark}>{escape(row.layer[-28:])}</text>'


def _of(row: Row, name: str) -> float | None:
    """A ratio that a logarithmic scale can show."""
    value = row.in_place if name == "in place" else row.alone
    return value if value is not None and isfinite(value) and value > 0 else None


def _height(value: float, low: int, high: int) -> float:
    return _TOP + (high - log10(value)) / (high - low) * (_HEIGHT - _BOTTOM - _TOP)


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.2g}"
