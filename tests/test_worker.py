"""The child process: a compiler that crashes, exits or hangs is an outcome, and the next case runs."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import toys

from conformance.cases.outcome import Outcome, Stage, Status
from conformance.running.worker import Job, Worker


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    worker = Worker(threads=1, timeout=30)
    yield worker
    worker.close()


def run(worker: Worker, target: str, variables: dict[str, str] | None = None) -> Outcome:
    return worker.run(Job(toys.CASE, "toys:Toy", f"toys:{target}"), variables or {})


def test_crash_is_an_outcome_with_its_stage_and_last_words(worker: Worker) -> None:
    outcome = run(worker, "CRASHES")
    assert (outcome.status, outcome.stage, outcome.signature) == (Status.CRASH, Stage.LOWER, "SIGSEGV")
    assert outcome.detail is not None and "last words of the compiler" in outcome.detail
    assert run(worker, "HEALTHY").status == Status.PASS


def test_exit_code_is_the_signature(worker: Worker) -> None:
    outcome = run(worker, "EXITS")
    assert (outcome.status, outcome.stage, outcome.signature) == (Status.CRASH, Stage.COMPILE, "exit 70")
    assert run(worker, "HEALTHY").status == Status.PASS


def test_hang_is_a_timeout_and_takes_along_what_it_had_started(worker: Worker) -> None:
    worker.timeout = 8
    start = time.monotonic()
    outcome = run(worker, "HANGS")
    worker.timeout = 30
    assert (outcome.status, outcome.stage, outcome.signature) == (Status.TIMEOUT, Stage.COMPILE, "8 s")
    assert time.monotonic() - start < 25
    grandchild = next(int(w) for w in (outcome.detail or "").replace("grandchild", "").split() if w.isdigit())
    deadline = time.monotonic() + 5
    while _alive(grandchild) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not _alive(grandchild)
    assert run(worker, "HEALTHY").status == Status.PASS


def test_child_stays_warm_and_there_is_one_for_each_environment(worker: Worker) -> None:
    run(worker, "HEALTHY")
    first = worker._shared[1]
    run(worker, "HEALTHY")
    assert worker._shared[1] == first != os.getpid()
    run(worker, "HEALTHY", {"OTHER": "1"})
    assert worker._shared[1] != first


def test_error_of_our_own_is_raised_not_recorded(worker: Worker) -> None:
    with pytest.raises(ValueError, match="invalid literal"):  # a variant that the toy cannot build
        worker.run(Job(replace(toys.CASE, variant="x"), "toys:Toy", "toys:HEALTHY"), {})


def _alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().split()[2]
    except OSError:
        return False
