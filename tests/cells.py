"""Cases by their fields alone, whichever half has them."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from conformance.cases.case import Case, Column, Subject
from conformance.cases.outcome import Record

_SUBJECT, _COLUMN = ({part.name for part in fields(kind)} for kind in (Subject, Column))


def cell(
    system: str,
    variant: str,
    task: str,
    batch: int,
    height: int | None,
    width: int | None,
    dtype: str,
    target: str = "",
    **others: Any,
) -> Case:
    """The case with these fields."""
    return changed(Case(Subject(system, variant, task, batch, height, width, dtype), Column(target)), **others)


def changed(case: Case, **others: Any) -> Case:
    """A case with other fields."""
    column = {name: others.pop(name) for name in _COLUMN & set(others)}
    layer = others.pop("layer", case.layer)
    return Case(replace(case.subject, **others), replace(case.column, **column), layer)


def like(record: Record, **others: Any) -> Record:
    """A record with other fields, of its case as well."""
    of_case = {name: others.pop(name) for name in (_SUBJECT | _COLUMN | {"layer"}) & set(others)}
    return record.model_copy(update={**others, "case": changed(record.case, **of_case)})
