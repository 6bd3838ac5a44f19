"""What is known about the defects that appear in the records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from conformance.cases.outcome import Record
from conformance.cases.releases import releases
from conformance.defects.catalogue import DEFECTS
from conformance.defects.defect import Defect
from conformance.defects.workarounds import WORKAROUNDS
from conformance.report.table import Cell, Tables, anchors, column_of, row_of, tables
from conformance.report.words import plural


@dataclass(frozen=True)
class KnownDefect:
    """A defect and its minimal cases. `defect` is None where the catalogue has no such id."""

    id: str
    anchor: str
    defect: Defect | None
    minimal: Tables
    real_cells: int
    emulated_cells: int

    @property
    def seen(self) -> str:
        """`2 real cells and 1 emulated cell`: how many cells of models are put down to it."""
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
    def packages(self) -> tuple[str, ...]:
        """The ranges of packages that have it: `torch-xla >=2.5,<2.10`."""
        return tuple(f"{name} {versions}" for name, versions in self.defect.packages.items()) if self.defect else ()

    @property
    def releases(self) -> str:
        """`SDK 2.28.0 to 2.29.1, on inf2; fixed in 2.30.0`: which releases have it; empty where none does."""
        if self.defect is None:
            return ""
        have = [sdk for sdk, release in releases().items() if self.defect.affects(release.packages, ())]
        if not have:
            return ""
        where = f", on {', '.join(self.defect.hardware)}" if self.defect.hardware else ""
        asked = f", at {', '.join(self.defect.dtypes)}" if self.defect.dtypes else ""
        fixed = f"; fixed in {self.defect.fixed_in}" if self.defect.fixed_in else ""
        return f"SDK {have[0]}{f' to {have[-1]}' if len(have) > 1 else ''}{where}{asked}{fixed}"

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
    """The defects that a record names or is a minimal case of, in the order of the catalogue."""
    records = list(records)
    named = dict.fromkeys(id_ for record in records for id_ in (*record.defects, *_minimal_of(record)))
    ids = [*(id_ for id_ in DEFECTS if id_ in named), *(id_ for id_ in named if id_ not in DEFECTS)]
    anchor = anchors("defect", ids)
    return tuple(_known(id_, anchor[id_], records, anchor_of) for id_ in ids)


def _known(id_: str, anchor: str, records: list[Record], anchor_of: Mapping[str, str]) -> KnownDefect:
    seen = [record.emulated for record in records if record.task and not record.layer and id_ in record.defects]
    minimal = _minimal(id_, records, anchor_of)
    return KnownDefect(id_, anchor, DEFECTS.get(id_), minimal, seen.count(False), seen.count(True))


def _minimal_of(record: Record) -> tuple[str, ...]:
    return () if record.task else (record.system,)


def _minimal(id_: str, records: list[Record], anchor_of: Mapping[str, str]) -> Tables:
    """The minimal cases of a defect, each with and without workarounds, x columns."""
    cells = {
        (row_of(record, workarounds=True), column_of(record, workarounds=False)): Cell(record, anchor_of[record.id])
        for record in records
        if id_ in _minimal_of(record)
    }
    return tables((row for row, _ in cells), (column for _, column in cells), cells)
