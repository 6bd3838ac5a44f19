"""How bad a wrong answer is for who uses a detector, told from its relative error by a measured rule
(`severity.toml`).

It decides nothing: a wrong answer is wrong, however little it matters.
"""

from __future__ import annotations

from enum import Enum
from functools import cache
from math import isnan
from pathlib import Path

from conformance.cases.outcome import Strict
from conformance.core.reading import read_toml

PATH = Path(__file__).with_name("severity.toml")


class Severity(str, Enum):
    """What errors of that size do to detections."""

    NEGLIGIBLE = "negligible"
    VISIBLE = "visible"
    DESTROYED = "destroyed"

    @property
    def words(self) -> str:
        """As a sentence has it."""
        return "negligible for detections" if self is Severity.NEGLIGIBLE else self.value


class SeverityEvidence(Strict):
    """Faults that were planted with errors of one severity: how many, of how many a detection changed, and the median
    share of the reference's detections that were kept."""

    faults: int
    changed: int
    kept: float


class Rule(Strict):
    """Errors below `visible` are negligible, those from `destroyed` on destroy; `by` says what it was measured on."""

    by: str
    visible: float
    destroyed: float
    measured: dict[Severity, SeverityEvidence]


@cache
def rule() -> Rule:
    """The rule in force."""
    return read_toml(PATH, Rule)


def severity(error: float) -> Severity:
    """How bad a relative L2 error of the worst image is; NaN destroys."""
    if isnan(error) or error >= rule().destroyed:
        return Severity.DESTROYED
    return Severity.VISIBLE if error >= rule().visible else Severity.NEGLIGIBLE
