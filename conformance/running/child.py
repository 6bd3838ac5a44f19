"""The child's side of the worker. Nothing heavy is imported before the child runs."""

from __future__ import annotations

import os
import signal
import sys
import time
import warnings
from collections.abc import Mapping
from threading import Thread
from typing import Any

from conformance.cases.case import Case
from conformance.cases.outcome import Stage

_STAGES = list(Stage)
_shared: Any = None


def prepare(variables: Mapping[str, str], threads: int, log: str, shared: Any) -> None:
    """Set up the process before anything is imported: environment, threads, where its output goes."""
    global _shared
    _shared = shared
    os.setsid()
    Thread(target=_end_with_parent, args=[os.getppid()], daemon=True).start()
    os.environ.update(variables, OMP_NUM_THREADS=str(threads))
    with open(log, "ab") as file:  # noqa: PTH123 (a descriptor is what is needed)
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    import torch

    warnings.filterwarnings("ignore", module="torch")  # export and its converters are talkative
    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)


def execute(case: Case, system: str, target: str, weights: str | None, pictures: str | None) -> str:
    """Run a case; its outcome as JSON, which no compiler's exception type can spoil."""
    from conformance.registry import load_target
    from conformance.running.pipeline import run_case

    _shared[1] = os.getpid()
    return run_case(case, system, load_target(target), _enter, weights, pictures).model_dump_json()


def _end_with_parent(parent: int) -> None:
    """End the whole process group once the parent is gone, however it went."""
    while os.getppid() == parent:
        time.sleep(1)
    os.killpg(os.getpgrp(), signal.SIGKILL)


def _enter(stage: Stage) -> None:
    _shared[0] = _STAGES.index(stage)
