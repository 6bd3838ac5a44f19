"""Where a model is right and where it is not, over batch and resolution, with as few of them tried as will tell."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby, product

from conformance.cases.case import Case
from conformance.cases.outcome import Record

Point = tuple[int, int]  # of a map: the number of the batch and that of the resolution
Run = Callable[[Case], Record]


@dataclass
class Map:
    """The cases of one dtype and column, by batch and resolution; `records` are those that were tried, by case id."""

    title: str
    batches: list[int]
    sizes: list[tuple[int, int]]
    cases: dict[Point, Case]
    records: dict[str, Record] = field(default_factory=dict)
    taken: dict[Point, Record] = field(default_factory=dict)

    def record(self, point: Point) -> Record | None:
        """What came of a case that was tried."""
        return self.records.get(self.cases[point].id)

    def shown(self, point: Point) -> Record:
        """What came of it or, where it was not tried, of the one whose answer is taken to be its own."""
        return self.record(point) or self.taken[point]

    def borders(self) -> list[str]:
        """`64x64, 96x96: batch 1 to 3 pass, 4 error in compile (NCC_EVRF029), 8 pass`."""
        lines: dict[str, list[str]] = {}
        for column, (height, width) in enumerate(self.sizes):
            lines.setdefault(self._line(column), []).append(f"{height}x{width}")
        return [f"{', '.join(sizes)}: batch {line}" for line, sizes in lines.items()]

    def _line(self, column: int) -> str:
        parts = []
        found = [(batch, _said(self.shown((row, column)))) for row, batch in enumerate(self.batches)]
        for said, run in groupby(found, key=lambda one: one[1]):
            batches = [batch for batch, _ in run]
            span = f"{batches[0]} to {batches[-1]}" if len(batches) > 1 else str(batches[0])
            parts.append(f"{span} {said}")
        return ", ".join(parts)


def maps(cases: Iterable[Case]) -> list[Map]:
    """The maps that cases make: one for each dtype, weights and column."""
    found: dict[tuple[object, ...], list[Case]] = {}
    for case in cases:
        found.setdefault((case.subject.dtype, case.subject.weights, case.column), []).append(case)
    return [_map(some) for some in found.values()]


def sweep(of: Map, run: Run) -> Map:
    """Try as many cases of a map as are needed: the smallest size at each batch, the smallest batch at each size,
    and what lies in a rectangle only where its corners, its middle and what is known of it are not all the same."""
    rows, columns = len(of.batches), len(of.sizes)
    edges = [*((row, 0) for row in range(rows)), *((0, column) for column in range(columns))]
    for point in edges:
        _try(of, point, run)
    _fill(of, (0, 0), (rows - 1, columns - 1), run)
    return of


def _map(cases: Sequence[Case]) -> Map:
    first = cases[0]
    batches = sorted({case.subject.batch for case in cases})
    sizes = sorted({_size(case) for case in cases}, key=lambda size: (size[0] * size[1], size))
    placed = {(batches.index(case.subject.batch), sizes.index(_size(case))): case for case in cases}
    weights = f" {first.subject.weights}" if first.subject.weights else ""
    return Map(f"{first.subject.model}{weights} {first.subject.dtype} @{first.column}", batches, sizes, placed)


def _size(case: Case) -> tuple[int, int]:
    return case.subject.height or 0, case.subject.width or 0


def _try(of: Map, point: Point, run: Run) -> str:
    case = of.cases[point]
    if case.id not in of.records:
        of.records[case.id] = run(case)
    return _said(of.records[case.id])


def _said(record: Record) -> str:
    """What makes one answer another."""
    return record.status.value if record.status.value in ("pass", "wrong") else record.summary


def _fill(of: Map, first: Point, last: Point, run: Run) -> None:
    """What is in a rectangle, its ends among them."""
    inside = list(product(range(first[0], last[0] + 1), range(first[1], last[1] + 1)))
    middle = ((first[0] + last[0]) // 2, (first[1] + last[1]) // 2)
    corners = list(product((first[0], last[0]), (first[1], last[1])))
    for point in (*corners, middle):
        _try(of, point, run)
    known = {point: record for point in inside if (record := of.record(point)) is not None}
    if len(known) == len(inside):
        return
    if len({_said(record) for record in known.values()}) == 1:
        of.taken |= {point: known[middle] for point in inside if point not in known}
        return
    (top, left), (bottom, right) = first, last
    if bottom - top >= right - left:
        halves = (((top, left), (middle[0], right)), ((middle[0] + 1, left), (bottom, right)))
    else:
        halves = (((top, left), (bottom, middle[1])), ((top, middle[1] + 1), (bottom, right)))
    for half in halves:
        _fill(of, *half, run)
