"""The suite, run in a process of its own on a toy system."""

from __future__ import annotations

from pathlib import Path

import pytest

from conformance.cases.outcome import Record
from conformance.defects.catalogue import DEFECTS
from conformance.results.records import read_records

ROOT = Path(__file__).parents[1]
SUITE = str(ROOT / "conformance")
CASES = [minimal for defect in DEFECTS.values() for minimal in defect.minimal_cases]
MINIMAL = len(CASES) + sum(len(minimal.workarounds) for minimal in CASES)  # alone, and with each of its workarounds
TOY = """
description = "The toy."
targets = ["toys:HEALTHY"]

[[models]]
system = "toys:Toy"
variants = ["1"]
tasks = ["detect"]
batches = [1, 2]
resolutions = ["16x24"]

[[models]]
isolated = true
system = "toys:Toy"
variants = ["1"]
tasks = ["detect"]
batches = [2]
resolutions = ["16x24"]
"""


def run(suite: pytest.Pytester, *options: str, profile: str = "toy.toml") -> pytest.RunResult:
    """Run it with its records in `records`."""
    return suite.runpytest_subprocess(
        SUITE, "--profile", profile, "--records", "records", "-p", "no:cacheprovider", "-q", *options
    )


def impatient(suite: pytest.Pytester) -> tuple[str, str]:
    """The options by which a NeuronCore that is busy is not waited for."""
    suite.makepyfile(impatient="from conformance.running import worker\n\nworker._PAUSES = (0.1,)\n")
    return "-p", "impatient"


def records(suite: pytest.Pytester) -> list[Record]:
    """What it has recorded."""
    return read_records(suite.path / "records")
