"""The command line: its output, and one clear line for bad input."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from test_records import record
from typer.testing import CliRunner

from conformance.commands.cli import app
from conformance.results.records import RecordWriter

RUNNER = CliRunner()


def test_matrix_writes_the_three_files_and_shows_the_table(tmp_path: Path) -> None:
    RecordWriter(tmp_path / "records" / "a.jsonl").write(record("toy1-detect/b1/16x16/fp32@planted"))
    result = RUNNER.invoke(app, ["matrix", "--records", str(tmp_path / "records"), "--output", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    assert "toy1-detect" in result.output
    assert "pass" in result.output
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        f"compatibility.{e}" for e in ("html", "json", "md")
    ]


def test_matrix_without_or_with_broken_records_is_one_line(tmp_path: Path) -> None:
    result = RUNNER.invoke(app, ["matrix", "--records", str(tmp_path)])
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("error: no records in")
    assert result.stderr.count("\n") == 1
    (tmp_path / "a.jsonl").write_text("{}\n")
    result = RUNNER.invoke(app, ["matrix", "--records", str(tmp_path)])
    assert result.exit_code == 2
    assert "a.jsonl:1 is no record" in result.stderr
    assert result.stderr.count("\n") == 1


def test_cases_lists_ids_and_counts_them() -> None:
    result = RUNNER.invoke(app, ["cases", "--profile", "quick"])
    ids = result.stdout.split()
    assert result.exit_code == 0
    assert len(ids) == len(set(ids))
    assert result.stderr.startswith(f"{len(ids)} cases: ")
    assert "yolo26n-detect/b2/320x320/fp32@emulator/inf2/sdk-2.29.1+slice" in ids


@pytest.mark.parametrize("profile", ["quik", "absent.toml"])
def test_cases_of_no_profile_is_one_line(profile: str) -> None:
    result = RUNNER.invoke(app, ["cases", "--profile", profile])
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1


def test_doctor_reports_and_as_json() -> None:
    assert "openvino" in RUNNER.invoke(app, ["doctor"]).output
    assert isinstance(json.loads(RUNNER.invoke(app, ["doctor", "--json"]).output), dict)
