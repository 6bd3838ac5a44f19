"""From records to what is accepted to fail: the file is edited, and keeps its comments."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.items import AoT

from conformance.cases.expectation import Expectation, Flaky, read_expectations
from conformance.cases.options import Justification
from conformance.cases.outcome import Record, Status
from conformance.core.errors import UserError, not_there
from conformance.results.records import latest, matching

_HEAD = """\
# What is accepted to fail, and how. A test that fails so is an expected failure; another failure, a pass, and a date
# that is over are red. Made by `conformance expect --accept ID --link URL`; comments stay.
"""


def accept(
    path: Path, records: Sequence[Record], pattern: str, why: Justification, until: date | None = None
) -> list[Expectation]:
    """Expect the cases of an id, or of a pattern with `*`, to end as they did last. Raises UserError where there is
    no such record, and for a case that has not failed."""
    read_expectations(path)  # what is broken is not edited
    runs: dict[str, list[Record]] = {}
    for record in matching(pattern, records):
        runs.setdefault(record.id, []).append(record)
    accepted = [entry for id_ in runs if (entry := _expectation(runs[id_], why, until, named=id_ == pattern))]
    if not accepted:
        ours = any(runs[-1].status is Status.SUITE_ERROR for runs in runs.values())
        said = "ended in an error of the suite's own, which cannot be accepted" if ours else "has not failed"
        raise UserError(f"{pattern} {said}: there is nothing to accept")
    _edit(path, {entry.case: entry for entry in accepted})
    return accepted


def drop(path: Path, case: str) -> None:
    """Expect nothing of a case any more. Raises UserError where nothing was expected of it."""
    known = read_expectations(path)
    if case not in known:
        raise not_there("nothing is expected of", case, known)
    _edit(path, {}, without=case)


def _expectation(runs: Sequence[Record], why: Justification, until: date | None, named: bool) -> Expectation | None:
    """Of the runs of one case; None of one that has not failed. One that passed, too, with the same versions of all
    packages, is flaky."""
    failures = [record for record in runs if _failed(record, named)]
    if not failures:
        return None
    (last,) = latest(failures)
    alike = [record for record in runs if record.decided and record.environment == last.environment]
    failed = sum(_failed(record, named) for record in alike)
    flaky = Flaky(failed=failed, runs=len(alike)) if failed < len(alike) else None
    return Expectation(
        case=last.id,
        status=last.status,
        stage=last.stage,
        signature=last.signature,
        layer=last.first_bad_layer,
        link=why.link,
        reason=why.reason,
        until=until,
        flaky=flaky,
    )


def _failed(record: Record, named: bool) -> bool:
    """Whether its tests are red, as far as the record tells. Of a minimal case it does not: one that fails as it is
    known to is green, one that passes can be red. It counts where it is `named`, and not only matched."""
    return record.failed if record.subject.task else record.decided and named


def _edit(path: Path, entries: dict[str, Expectation], without: str | None = None) -> None:
    """Put entries in the place of those of the same cases, or behind all; take one out."""
    document = tomlkit.parse(path.read_text(encoding="utf-8") if path.is_file() else _HEAD)
    table: Any = document.setdefault("expect", tomlkit.aot())
    assert isinstance(table, AoT)
    for index in reversed(range(len(table))):
        case = table[index]["case"]
        if case == without:
            del table[index]
        elif case in entries:
            _fill(table[index], entries.pop(case))
    for entry in entries.values():
        table.append(_fill(tomlkit.table(), entry))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(tomlkit.dumps(document), encoding="utf-8")


def _fill(table: Any, entry: Expectation) -> Any:
    """An entry's table, with what it says of the rest left alone."""
    for name, value in entry.model_dump(mode="python").items():
        if isinstance(value, dict):
            inline = tomlkit.inline_table()
            inline.update(value)
            value = inline
        if value is None:
            table.pop(name, None)
        else:
            table[name] = getattr(value, "value", value)
    return table
