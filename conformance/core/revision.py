"""Which revision of the suite this is: what a record says it was made by."""

from __future__ import annotations

import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_CHECKOUT = Path(__file__).resolve().parents[2]


@cache
def suite_revision() -> str:
    """`0.1.0+g7de8371`, with `.dirty` behind it where files were changed; the version alone where it is installed."""
    try:
        number = version("neuron-conformance")
    except PackageNotFoundError:
        number = "0"
    commit = _described() if (_CHECKOUT / ".git").exists() else None
    return f"{number}+g{commit}" if commit else number


def _described() -> str | None:
    """`7de8371` or `7de8371.dirty`; None where git cannot say."""
    command = ["git", "-C", str(_CHECKOUT), "describe", "--always", "--exclude=*", "--dirty=.dirty"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
