"""The child's side of the worker. Nothing heavy is imported before the child runs."""

from __future__ import annotations

import os
import signal
import sys
import time
import warnings
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import RLock, Thread
from typing import Any, cast

from conformance.cases.case import Case
from conformance.cases.options import CALLS
from conformance.cases.outcome import Outcome, Stage
from conformance.cases.span import Operator
from conformance.core.deferred import torch
from conformance.core.errors import ModelError, UserError, first_line
from conformance.host.probe import program_path
from conformance.systems.user_model import UserModel
from conformance.targets.loading import load_target

_STAGES = list(Stage)
STAGE, PROCESS, SPOILT = range(3)  # what the parent is told in shared memory, by place
_shared: Any = None


@dataclass(frozen=True)
class Job:
    """A case and the names its system, target and weights are loaded by; `pictures` is a folder of a user's own, to
    count detections on, and `calls` is how often the program is called."""

    case: Case
    system: str
    target: str
    weights: str | None = None
    pictures: str | None = None
    calls: int = CALLS


def prepare(variables: Mapping[str, str], threads: int, log: str, shared: Any) -> None:
    """Set up the process before anything is imported: environment, threads, where its output goes."""
    global _shared
    _shared = shared
    os.setsid()
    Thread(target=_end_with_parent, args=[os.getppid()], daemon=True).start()
    os.environ.update(variables, OMP_NUM_THREADS=str(threads))
    os.environ["PATH"] = program_path()
    with open(log, "ab") as file:  # noqa: PTH123 (a descriptor is what is needed)
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    with suppress(ImportError):  # its own lock is one of the system's, which is leaked when this process is killed
        from tqdm import tqdm

        tqdm.set_lock(RLock())
    warnings.filterwarnings("ignore", module="torch")  # export and its converters are talkative
    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)


def execute(job: Job, kept: str) -> str:
    """Run a case; its outcome as JSON, which no compiler's exception type can spoil. As far as it is known before the
    layers are tapped, it is in the file `kept`."""
    from conformance.running.pipeline import run_case

    start()
    return run_case(
        job.case,
        job.system,
        load_target(job.target),
        _enter,
        job.weights,
        job.pictures,
        job.calls,
        keep=lambda outcome: _keep(outcome, Path(kept)),
        spoilt=_spoilt,
    ).model_dump_json()


def described(system: str) -> str:
    """What the system of one model is loaded by once it was built, and it is known what it has."""
    from conformance.systems.loading import load_system

    start()
    found = load_system(system)
    if reason := found.missing():
        raise UserError(reason)
    return cast(UserModel, found).built().loaded_by


def operators(job: Job) -> list[Operator]:
    """Those of a case's program. Raises UserError where there is no graph of it."""
    from conformance.programs.program import CaptureError
    from conformance.running.pipeline import operators_in

    start()
    try:
        return operators_in(job.case, job.system, job.weights)
    except (CaptureError, ModelError) as error:
        raise UserError(f"there is no graph of {job.case.subject.model}: {first_line(error)}") from None


def explain_death(job: Job, outcome: str) -> str:
    """The outcome of a case whose process died, with the known defects that explain it; as JSON."""
    from conformance.running.pipeline import explain_case

    start()
    found = Outcome.model_validate_json(outcome)
    return explain_case(job.case, job.system, load_target(job.target), found, job.weights).model_dump_json()


def front_end(job: Job, hlo: str) -> str:
    """How the HLO in a file differs from that of torch-xla for the program of a case."""
    from conformance.running.pipeline import front_end_of

    return front_end_of(job.case, job.system, Path(hlo).read_bytes(), job.weights)


def start() -> None:
    """Tell the parent which process this is, so that it can be ended with all that it has started."""
    _shared[PROCESS] = os.getpid()


def _keep(outcome: Outcome, path: Path) -> None:
    part = path.with_suffix(".part")
    part.write_text(outcome.model_dump_json(), encoding="utf-8")
    part.replace(path)


def _end_with_parent(parent: int) -> None:
    """End the whole process group once the parent is gone, however it went."""
    while os.getppid() == parent:
        time.sleep(1)
    os.killpg(os.getpgrp(), signal.SIGKILL)


def _enter(stage: Stage) -> None:
    _shared[STAGE] = _STAGES.index(stage)


def _spoilt() -> None:
    _shared[SPOILT] = 1
