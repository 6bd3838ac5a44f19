"""Beside the plugins that others have installed: no option collides, and the suite runs with all of them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from suites import SUITE, TOY

FOLDER = Path(sys.prefix) / "neighbours"
PLUGINS = (
    "pytest-benchmark", "pytest-cov", "pytest-profiling", "pytest-randomly", "pytest-rerunfailures", "pytest-timeout",
    "syrupy",
)  # fmt: skip
if not FOLDER.is_dir():
    pytest.skip("needs other plugins: make .venv/ready installs them beside", allow_module_level=True)


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Pytest as a user has it, with every plugin that is installed."""
    command = [sys.executable, "-m", "pytest", "-o", "addopts=", "-p", "no:cacheprovider", "-q", *words]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(FOLDER), str(Path(__file__).parent)])}
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment)


def test_they_are_all_there(tmp_path: Path) -> None:
    said = run(tmp_path, "-VV")
    assert [name for name in PLUGINS if f"{name}-" not in said.stdout + said.stderr] == []


def test_suite_runs_beside_them(tmp_path: Path) -> None:
    (tmp_path / "toy.toml").write_text(TOY)
    done = run(tmp_path, SUITE, "--profile", "toy.toml", "--records=records", "--target", "toys:HEALTHY", "-n", "2",
               "--timeout", "300", "--reruns", "1", "--cov", "toys", "-k", "test_model or in_place")  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 passed" in done.stdout, done.stdout + done.stderr
    assert len(list((tmp_path / "records").glob("*.jsonl"))) == 2


def test_long_names_are_always_there(tmp_path: Path) -> None:
    (tmp_path / "toy.toml").write_text(TOY)
    done = run(
        tmp_path, SUITE, "--conformance-profile", "toy.toml", "--conformance-records", "records", "-k", "test_model"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout, done.stdout + done.stderr


def test_others_keep_their_names(tmp_path: Path) -> None:
    """`--profile` is pytest-profiling's in a run that is none of ours."""
    (tmp_path / "test_mine.py").write_text("def test_mine():\n    pass\n")
    done = run(tmp_path, "test_mine.py", "--profile")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Profiling" in done.stdout, done.stdout + done.stderr
    assert (tmp_path / "prof").is_dir()
    again = run(tmp_path, "test_mine.py", "--target", "xla")
    assert again.returncode == 4
    assert "unrecognized arguments: --target" in again.stderr
