"""The limits of the verdict, one table for all models (`limits.toml`)."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from pydantic import RootModel

from conformance.cases.outcome import Strict
from conformance.core.errors import UserError
from conformance.core.reading import read_toml


class Distribution(Strict):
    """That of error ratios."""

    count: int
    median: float
    p95: float
    largest: float


class Healthy(Strict):
    """The ratios of answers that were right, and of which compilers and models."""

    by: str
    outputs: Distribution
    in_place: Distribution | None = None
    isolated: Distribution | None = None


class Faulty(Strict):
    """The smallest ratio, in the worst group, of answers that were wrong by a known defect."""

    smallest: float


class Limit(Strict):
    """Error ratios, of outputs, of layers in place and of layers compiled alone; `floor` is the smallest
    relative baseline error a ratio is formed with."""

    outputs: float
    in_place: float
    isolated: float
    floor: float
    healthy: Healthy
    faulty: Faulty | None = None


class _Table(RootModel[dict[str, Limit]]):
    pass


PATH = Path(__file__).with_name("limits.toml")


@cache
def _table() -> dict[str, Limit]:
    return read_toml(PATH, _Table).root


def limit(dtype: str) -> Limit:
    """The limits of a dtype. Raises UserError where none was measured: such a case cannot be judged."""
    if dtype not in _table():
        raise UserError(f"dtype {dtype!r} cannot be judged yet: limits were measured for {', '.join(_table())}")
    return _table()[dtype]
