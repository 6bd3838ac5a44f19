"""What is known about every defect of the catalogue, and what the records say of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from conformance.cases.outcome import Record
from conformance.cases.releases import releases
from conformance.defects.catalogue import DEFECTS
from conformance.defects.defect import Defect
from conformance.programs.workarounds import WORKAROUNDS
from conformance.report.formatting import plural
from conformance.report.table import Cell, MatrixRow, TableColumn, Tables, anchors, column_of, row_of, tables


@dataclass(frozen=True)
class KnownDefect:
    """A defect, its minimal cases and the cells of models that are put down to it.

    `defect` is None where the catalogue has no such id; `appears`: a record names it, or is a minimal case of it.
    """

    id: str
    anchor: str
    defect: Defect | None
    minimal: Tables
    seen_in: tuple[tuple[MatrixRow, TableColumn, Cell], ...]
    appears: bool

    @property
    def real_cells(self) -> int:
        """How many cells of models on real targets are put down to it."""
        return sum(not column.emulated for _, column, _ in self.seen_in)

    @property
    def emulated_cells(self) -> int:
        """How many on emulated ones."""
        return len(self.seen_in) - self.real_cells

    @property
    def seen(self) -> str:
        """`2 real cells and 1 emulated cell`."""
        return f"{plural(self.real_cells, 'real cell')} and {plural(self.emulated_cells, 'emulated cell')}"

    @property
    def title(self) -> str:
        """One line."""
        return self.defect.title if self.defect else "not in this version's catalogue of defects"

    @property
    def evidence(self) -> str:
        """`report: README of the published port`."""
        return f"{self.defect.evidence.value}: {self.defect.seen}" if self.defect else ""

    @property
    def shows_in(self) -> str:
        """`compile: NCC_IGCA030`: the stage, and what the compiler says there."""
        if self.defect is None:
            return ""
        return self.defect.stage.value + (f": {self.defect.error_code}" if self.defect.error_code else "")

    @property
    def packages(self) -> tuple[str, ...]:
        """The ranges of packages that have it: `torch-xla >=2.5`."""
        return tuple(f"{name} {versions}" for name, versions in self.defect.packages.items()) if self.defect else ()

    @property
    def releases(self) -> str:
        """`SDK 2.28.0 to 2.29.1, on inf2; fixed in 2.30.0`, `up to SDK 2.31.1; fixed in 2.32.0` or `since SDK 2.28.0;
        not known to be fixed`: which releases have it, as far as is known; empty where none does."""
        if self.defect is None:
            return ""
        every = list(releases())
        have = [sdk for sdk in every if self.defect.affects(releases()[sdk].packages, ())]
        if not have:
            return ""
        where = f", on {', '.join(self.defect.hardware)}" if self.defect.hardware else ""
        asked = f", at {', '.join(self.defect.dtypes)}" if self.defect.dtypes else ""
        first, last = have[0], have[-1]
        if self.defect.fixed_in is None and last == every[-1]:
            return f"since SDK {first}{where}{asked}; not known to be fixed"
        fixed = f"; fixed in {self.defect.fixed_in}" if self.defect.fixed_in else ""
        span = f"up to SDK {last}" if first == every[0] else f"SDK {first}{f' to {last}' if last != first else ''}"
        return f"{span}{where}{asked}{fixed}"

    @property
    def workarounds(self) -> tuple[tuple[str, str], ...]:
        """Name and title of what works instead."""
        names = self.defect.workarounds if self.defect else ()
        return tuple((name, WORKAROUNDS[name].title if name in WORKAROUNDS else name) for name in names)

    @property
    def links(self) -> tuple[str, ...]:
        """Where it is reported."""
        return self.defect.links if self.defect else ()

    @property
    def minimal_cases(self) -> tuple[tuple[str, str], ...]:
        """Name and title of the smallest programs that show it."""
        cases = self.defect.minimal_cases if self.defect else ()
        return tuple((case.name, case.title) for case in cases)


def known_defects(records: Iterable[Record], anchor_of: Mapping[str, str]) -> tuple[KnownDefect, ...]:
    """All of the catalogue in its order, and what else a record names."""
    records = list(records)
    named = dict.fromkeys(id_ for record in records for id_ in (*record.defects, *_minimal_of(record)))
    anchor = anchors("defect", (*DEFECTS, *named))
    return tuple(
        KnownDefect(
            id_,
            anchor[id_],
            DEFECTS.get(id_),
            _minimal(id_, records, anchor_of),
            tuple(_seen_in(id_, records, anchor_of)),
            id_ in named,
        )
        for id_ in anchor
    )


def _seen_in(
    id_: str, records: Iterable[Record], anchor_of: Mapping[str, str]
) -> Iterator[tuple[MatrixRow, TableColumn, Cell]]:
    for record in records:
        if record.subject.task and record.layer is None and id_ in record.defects:
            cell = Cell(record, anchor_of[record.id])
            yield row_of(record, workarounds=False), column_of(record, workarounds=True), cell


def _minimal_of(record: Record) -> tuple[str, ...]:
    return () if record.subject.task else (record.subject.system,)


def _minimal(id_: str, records: list[Record], anchor_of: Mapping[str, str]) -> Tables:
    """The minimal cases of a defect, each with and without workarounds, x columns."""
    cells = {
        (row_of(record, workarounds=True), column_of(record, workarounds=False)): Cell(record, anchor_of[record.id])
        for record in records
        if id_ in _minimal_of(record)
    }
    return tables((row for row, _ in cells), (column for _, column in cells), cells)
