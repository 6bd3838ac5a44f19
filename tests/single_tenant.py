"""NeuronCores as the doubles have them: what one process has taken no other gets, until it ends."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO

NO_RUNTIME = (
    "The PyTorch Neuron Runtime could not be initialized. Neuron Driver issues are logged to your system logs."
)
_taken: dict[int, IO[str]] = {}


def take(first: int, last: int) -> None:
    """Take the cores from one to another. Raises RuntimeError, in the runtime's words, where they are taken."""
    for core in range(first, last + 1):
        if core in _taken:
            continue
        file = Path(os.environ["CONFORMANCE_HOST"], f"dev/core{core}").open("w")  # noqa: SIM115 (held until the process ends)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RuntimeError(NO_RUNTIME) from None
        _taken[core] = file


def visible(default: str) -> tuple[int, int]:
    """The first and the last core that this process may use."""
    first, _, last = (os.environ.get("NEURON_RT_VISIBLE_CORES") or default).partition("-")
    return int(first), int(last or first)
