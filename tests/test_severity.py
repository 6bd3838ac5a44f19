"""How bad an error is: by a rule that was measured, and decides nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.power.findings import Finding, Results
from benchmarks.power.json_file import About
from benchmarks.power.severities import as_toml, measured_rule
from conformance.compare.severity import Rule, Severity, rule, severity
from conformance.core.errors import UserError
from conformance.core.reading import read_toml

ABOUT = About("torch 2", 0, "python -m benchmarks.power")
FAULT = Finding("toy", "float32", "kind", "site", "layer", "detail", ("ours",), False, 10.0, error=1e-6, kept=1.0)


def faults(errors: list[float], changed: bool, kept: float) -> tuple[Finding, ...]:
    return tuple(replace(FAULT, error=error, changes_detections=changed, kept=kept) for error in errors)


SMALL, MIDDLE = [i * 1e-6 for i in range(1, 81)], [i * 1e-3 for i in range(2, 42)]
LARGE = [i / 10 for i in range(1, 41)]
RESULTS = Results(faults(SMALL, False, 1.0) + faults(MIDDLE, True, 0.9) + faults(LARGE, True, 0.1))


def test_rule_is_where_detections_begin_to_change_and_where_half_are_lost() -> None:
    found = measured_rule(RESULTS, ABOUT)
    assert found.visible == pytest.approx(6e-3, rel=0.4)  # the first that are more than 5 % of all below
    assert 1e-3 < found.visible < found.destroyed <= 0.1
    parts = found.measured
    assert parts[Severity.NEGLIGIBLE].changed <= 0.05 * parts[Severity.NEGLIGIBLE].faults
    assert parts[Severity.DESTROYED].kept < 0.5 <= parts[Severity.VISIBLE].kept
    assert sum(part.faults for part in parts.values()) == 160


def test_faults_that_say_nothing_of_detections_are_left_out() -> None:
    others = (
        replace(FAULT, kept=None),
        replace(FAULT, benign=True),
        replace(FAULT, apart=True),
        replace(FAULT, dtype="bfloat16"),
        replace(FAULT, error=float("nan")),
    )
    assert measured_rule(RESULTS + Results(others), ABOUT) == measured_rule(RESULTS, ABOUT)
    with pytest.raises(UserError, match="5 faults in detectors are too few"):
        measured_rule(Results((FAULT,) * 5), ABOUT)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    found = measured_rule(RESULTS, ABOUT)
    path = tmp_path / "severity.toml"
    path.write_text(as_toml(found))
    assert read_toml(path, Rule) == found


def test_word_follows_the_error() -> None:
    found = rule()
    assert severity(0.0) is severity(found.visible * 0.99) is Severity.NEGLIGIBLE
    assert severity(found.visible) is severity(found.destroyed * 0.99) is Severity.VISIBLE
    assert severity(found.destroyed) is severity(float("inf")) is severity(float("nan")) is Severity.DESTROYED
    assert Severity.NEGLIGIBLE.words == "negligible for detections"
    assert Severity.VISIBLE.words == "visible"


def test_rule_in_force_was_measured() -> None:
    found = rule()
    assert set(found.measured) == set(Severity)
    negligible, destroyed = found.measured[Severity.NEGLIGIBLE], found.measured[Severity.DESTROYED]
    assert negligible.changed <= 0.05 * negligible.faults
    assert negligible.faults >= 30
    assert destroyed.kept < 0.5
    assert destroyed.faults >= 50
    assert "faults planted in" in found.by
