"""What is different between two runs: failures that are new, that are others than before, and that are gone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from conformance.cases.expectation import outcome_of
from conformance.cases.outcome import Record
from conformance.core.errors import UserError


class ChangeKind(str, Enum):
    """What has become of a case."""

    NEW_FAILURE = "new failure"
    OTHER_FAILURE = "another failure"
    FIRST_TESTED = "first tested and failing"
    FIXED = "fixed"
    NOT_TESTED = "not tested any more"


# What has become worse; a case that was not tested before has not, though its failure is told, too.
REGRESSIONS = (ChangeKind.NEW_FAILURE, ChangeKind.OTHER_FAILURE)
FAILURES = (*REGRESSIONS, ChangeKind.FIRST_TESTED)


@dataclass(frozen=True)
class Change:
    """A case, how it ended before, and its record now; the record before where there is none."""

    kind: ChangeKind
    before: str | None
    after: str | None
    record: Record


def differences(before: Iterable[Record], after: Iterable[Record], common: bool = False) -> list[Change]:
    """Those between the last records of each case, new failures first; `common`: of the cases that both have. A case
    that failed and was not judged again has not been fixed. Raises UserError where there is no common one."""
    old = {record.id: record for record in before}
    new = {record.id: record for record in after}
    if common:
        if not (both := old.keys() & new.keys()):
            raise UserError("no case is in both: compare runs of the same cases, or leave out --common")
        old, new = ({id_: side[id_] for id_ in side if id_ in both} for side in (old, new))
    found = [change for id_, record in new.items() for change in _change(old.get(id_), record)]
    gone = (record for id_, record in old.items() if id_ not in new and record.decided)
    found += [Change(ChangeKind.NOT_TESTED, outcome_of(record), None, record) for record in gone]
    return sorted(found, key=lambda change: list(ChangeKind).index(change.kind))


def _change(old: Record | None, new: Record) -> Iterator[Change]:
    before, after = outcome_of(old) if old else None, outcome_of(new)
    if new.failed and not (old and old.decided):
        yield Change(ChangeKind.FIRST_TESTED, before, after, new)
    elif old and new.failed and not old.failed:
        yield Change(ChangeKind.NEW_FAILURE, before, after, new)
    elif new.failed and before != after:
        yield Change(ChangeKind.OTHER_FAILURE, before, after, new)
    elif old and old.failed and not new.failed:
        yield Change(ChangeKind.FIXED if new.decided else ChangeKind.NOT_TESTED, before, after, new)
