"""What is accepted to fail, and how (`matrices/expectations.toml`): a test that fails so is an expected failure.

Another failure, a pass and a date that is over are red. An entry is made by `conformance expect --accept`.
"""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime, timezone
from pathlib import Path

from pydantic import Field, model_validator

from conformance.cases.outcome import Record, Stage, Status, Strict, Text, describe_outcome
from conformance.core.errors import UserError
from conformance.core.reading import read_toml

FILE = Path("matrices/expectations.toml")


class Flaky(Strict):
    """How often a case failed of the times it was run: what was measured, so that a pass is expected, too."""

    failed: int = Field(gt=0)
    runs: int = Field(gt=1)


class Expectation(Strict):
    """How a case fails, and why that is accepted: a `link`, a `reason`, or both. `layer` is the first bad one.

    From `until` on it counts no more. A status of `pass` is that of a defect that is known and does not strike.
    """

    case: Text
    status: Status
    stage: Stage
    signature: Text | None = None
    layer: Text | None = None
    link: Text | None = None
    reason: Text | None = None
    until: date | None = None
    flaky: Flaky | None = None

    @model_validator(mode="after")
    def _says_why(self) -> Expectation:
        if not (self.link or self.reason):
            raise ValueError("say why it is accepted: link or reason")
        return self

    @property
    def why(self) -> str:
        """`https://...: the compiler's next release has it`."""
        return ": ".join(filter(None, (self.link, self.reason)))

    @property
    def summary(self) -> str:
        """`wrong in compare, first in model.10`."""
        return describe_outcome(self.status, self.stage, self.signature, self.layer)

    @property
    def over(self) -> bool:
        """Whether its date is over."""
        return self.until is not None and datetime.now(timezone.utc).date() >= self.until

    def met_by(self, record: Record) -> bool:
        """Whether a case ended as is expected."""
        return _parts(record) == (self.status, self.stage, self.signature, self.layer)


class _File(Strict):
    expect: list[Expectation] = Field(default_factory=list)


def read_expectations(path: Path) -> dict[str, Expectation]:
    """The expectations of a file by their case's id; none where there is no file. Raises UserError."""
    if not path.exists():
        return {}
    found = read_toml(path, _File).expect
    twice = [case for case, count in Counter(entry.case for entry in found).items() if count > 1]
    if twice:
        raise UserError(f"{path}: two entries for {twice[0]!r}: keep one")
    return {entry.case: entry for entry in found}


def outcome_of(record: Record) -> str:
    """How a case ended, in the words of an expectation."""
    return describe_outcome(*_parts(record))


def _parts(record: Record) -> tuple[Status, Stage, str | None, str | None]:
    return record.status, record.stage, record.signature, record.first_bad_layer
