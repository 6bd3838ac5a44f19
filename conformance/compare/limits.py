"""The limits of the verdict, one table for all models (`limits.toml`)."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from pydantic import RootModel

from conformance.cases.errors import UserError
from conformance.cases.outcome import Strict
from conformance.cases.reading import read_toml


class Limit(Strict):
    """Ratios of error to noise; `floor` is the smallest relative noise a ratio is formed with."""

    outputs: float
    layers: float
    floor: float
    measured: str


class _Table(RootModel[dict[str, Limit]]):
    pass


@cache
def _table() -> dict[str, Limit]:
    return read_toml(Path(__file__).with_name("limits.toml"), _Table).root


def limit(dtype: str) -> Limit:
    """The limits of a dtype. Raises UserError where none was measured: such a case cannot be judged."""
    if dtype not in _table():
        raise UserError(f"dtype {dtype!r} cannot be judged yet: limits were measured for {', '.join(_table())}")
    return _table()[dtype]
