"""Failures that were accepted: each a JSON file, a regression case from then on, strict both ways."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from pydantic import field_validator, model_validator

from conformance.cases.options import Justification
from conformance.cases.outcome import Outcome, Stage, Status, Strict, Text
from conformance.core.reading import fixture_path, read_json
from conformance.core.store import digest
from conformance.properties.program import ProgramSpec
from conformance.properties.setups import Setup
from conformance.targets.protocol import Target


class Accepted(Strict):
    """A program that is known to fail: on what target and dtype, with which versions of its packages, how, and why
    that is accepted: a `link`, a `reason`, or both. Every range begins with a version that was seen to fail."""

    name: str
    target: str
    dtype: str
    packages: dict[str, str]
    stage: Stage
    status: Status
    signature: str | None
    link: Text | None = None
    reason: Text | None = None
    program: ProgramSpec

    @model_validator(mode="after")
    def _says_why(self) -> Accepted:
        if not (self.link or self.reason):
            raise ValueError("say why it is accepted: link or reason")
        return self

    @field_validator("packages")
    @classmethod
    def _ranges(cls, packages: dict[str, str]) -> dict[str, str]:
        for name, versions in packages.items():
            try:
                begins = any(one.operator in (">=", ">", "==", "~=") for one in SpecifierSet(versions))
            except InvalidSpecifier:
                begins = False
            if not begins:
                raise ValueError(f"{versions!r} is no range of versions of {name}; one looks like '>=2.9,<2.10'")
        return packages

    def expected_at(self, setup: Setup, target: Target) -> bool:
        """Whether it must fail at a setup: that target and dtype, and versions in their ranges."""
        return setup.column.target == self.target and setup.dtype == self.dtype and self._has(setup, target)

    def unclear_at(self, setup: Setup, target: Target) -> bool:
        """Whether nothing is known: the same target in another dtype, or in versions out of the ranges."""
        return setup.column.target == self.target and not self.expected_at(setup, target)

    def _has(self, setup: Setup, target: Target) -> bool:
        installed: Mapping[str, str] = target.packages(setup.column.hardware, setup.column.sdk)
        return all(
            name in installed and SpecifierSet(versions).contains(installed[name], prereleases=True)
            for name, versions in self.packages.items()
        )

    def fails_alike(self, outcome: Outcome) -> bool:
        """Whether an outcome is the known failure."""
        return (outcome.stage, outcome.status, outcome.signature) == (self.stage, self.status, self.signature)


def accepted_folder(given: str | None) -> Path:
    """Where accepted programs are: as given, or those of the suite."""
    return Path(given) if given else fixture_path("programs")


def accept_program(
    folder: Path, program: ProgramSpec, outcome: Outcome, setup: Setup, target: Target, why: Justification
) -> Path:
    """Write a failure as a case; from these versions of the target's packages on it is expected."""
    installed = target.packages(setup.column.hardware, setup.column.sdk)
    name = f"{setup.column.target}-{program.steps[-1].operator}-{digest({'program': program.model_dump_json()})[:6]}"
    case = Accepted(
        name=name,
        target=setup.column.target,
        dtype=setup.dtype,
        packages={package: f">={version.partition('+')[0]}" for package, version in installed.items()},
        stage=outcome.stage,
        status=outcome.status,
        signature=outcome.signature,
        link=why.link,
        reason=why.reason,
        program=program,
    )
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(json.dumps(case.model_dump(mode="json"), indent=1) + "\n")
    return path


def read_accepted(folder: Path) -> list[Accepted]:
    """All accepted programs of a folder, by name. Raises UserError with one line for a broken file."""
    return [read_json(path, Accepted) for path in sorted(folder.glob("*.json"))]
