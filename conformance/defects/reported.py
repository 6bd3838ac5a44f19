"""Defects that no graph shows (`reported.toml`): what is known of them is data."""

from __future__ import annotations

from pathlib import Path

from pydantic import RootModel

from conformance.cases.outcome import Stage, Strict
from conformance.core.reading import read_toml
from conformance.defects.defect import Defect, Evidence, unseen

_PATH = Path(__file__).with_name("reported.toml")


class _Reported(Strict):
    """The fields of a `Defect` without code."""

    title: str
    known: str
    evidence: Evidence
    seen: str
    links: tuple[str, ...]
    packages: dict[str, str]
    stage: Stage
    error_code: str | None = None
    hardware: tuple[str, ...] = ()
    dtypes: tuple[str, ...] = ()
    fixed_in: str | None = None
    history: bool = False


def reported(path: Path = _PATH) -> tuple[Defect, ...]:
    """The defects of a file. Raises UserError for one that cannot be read."""
    found = read_toml(path, RootModel[dict[str, _Reported]]).root
    return tuple(
        Defect(id=name, trigger=unseen, workarounds=(), minimal_cases=(), **dict(entry))
        for name, entry in found.items()
    )
