"""The child process: a compiler that crashes, exits or hangs is an outcome, and the next case runs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Thread

import pytest
import toys
from cells import changed

from conformance.cases.outcome import MODEL, Outcome, Stage, Status
from conformance.host.cores import VISIBLE
from conformance.host.trouble import HostTrouble
from conformance.running.child import Job
from conformance.running.worker import Worker


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
    assert outcome.detail is not None
    assert "last words of the compiler" in outcome.detail
    assert run(worker, "HEALTHY").status == Status.PASS


def test_process_that_others_have_used_up_is_no_fault_of_the_case(worker: Worker) -> None:
    variables = {"OF": "used"}
    thrice = [run(worker, "CRASHES_WHEN_USED", variables) for _ in range(3)]
    assert [outcome.status for outcome in thrice] == [Status.PASS] * 3
    notes = [[note for note in outcome.notes if "in one process" in note] for outcome in thrice]
    assert [len(found) for found in notes] == [0, 1, 1]
    assert "after 1 other cases in one process: crash in capture (SIGSEGV)" in notes[1][0]
    again = run(worker, "CRASHES", variables)
    assert (again.status, again.signature) == (Status.CRASH, "SIGSEGV")


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
    assert _ends(_grandchild(outcome.detail or ""))
    assert run(worker, "HEALTHY").status == Status.PASS


def test_child_stays_warm_and_there_is_one_for_each_environment(worker: Worker) -> None:
    run(worker, "HEALTHY")
    first = worker._shared[1]
    run(worker, "HEALTHY")
    assert worker._shared[1] == first != os.getpid()
    run(worker, "HEALTHY", {"OTHER": "1"})
    assert worker._shared[1] != first


def test_programs_of_an_environment_that_is_not_active_are_found(worker: Worker) -> None:
    detail = run(worker, "SAYS_PATH", {"PATH": "/nowhere"}).detail
    assert detail == os.pathsep.join([str(Path(sys.prefix, "bin")), "/nowhere"])


@pytest.mark.parametrize("said", ["NRT: NeuronCores busy, ret=-16", "all is well"])
def test_core_that_is_not_given_is_asked_for_again_and_makes_no_outcome(
    monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    """By what the process has printed, though what it raised says nothing; once, and then not at all."""
    monkeypatch.setattr("conformance.running.worker._PAUSES", (0.1, 0.1))
    pauses: list[float] = []
    monkeypatch.setattr("conformance.running.worker.sleep", pauses.append)
    monkeypatch.setattr(Worker, "_log_since", lambda self, start: said)
    worker = Worker(threads=1, timeout=30)
    try:
        if said == "all is well":
            assert run(worker, "EXITS", {VISIBLE: "0"}).status is Status.CRASH
            assert pauses == []
        else:
            with pytest.raises(HostTrouble, match="the runtime gets no NeuronCore 0"):
                run(worker, "EXITS", {VISIBLE: "0"})
            with pytest.raises(HostTrouble):
                run(worker, "EXITS", {VISIBLE: "0"})
            assert pauses == [0.1, 0.1], "no other case waits as long, until one has run"
    finally:
        worker.close()


def test_system_that_cannot_be_built_is_the_models_own_fault(worker: Worker) -> None:
    outcome = worker.run(Job(changed(toys.CASE, variant="x"), "toys:Toy", "toys:HEALTHY"), {})
    assert (outcome.status, outcome.stage, outcome.signature) == (Status.ERROR, Stage.CAPTURE, MODEL)
    assert outcome.detail
    assert outcome.detail.startswith("it cannot be built: ValueError: invalid literal")


def test_what_was_started_ends_when_the_worker_is_closed() -> None:
    """As after Ctrl-C, while a compiler hangs."""
    worker = Worker(threads=1, timeout=60)

    def hang() -> None:
        with suppress(Exception):
            run(worker, "HANGS")

    Thread(target=hang, daemon=True).start()
    grandchild = _wait_for_grandchild(worker._log)
    worker.close()
    assert _ends(grandchild)


def test_what_was_started_ends_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    script = (
        "import tempfile, toys; from conformance.running.worker import Job, Worker\n"
        f"if __name__ == '__main__': tempfile.tempdir = {str(tmp_path)!r}; "
        "Worker(1, 60).run(Job(toys.CASE, 'toys:Toy', 'toys:HANGS'), {})"
    )
    path = tmp_path / "parent.py"
    path.write_text(script)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    parent = subprocess.Popen([sys.executable, str(path)], env=environment)
    deadline = time.monotonic() + 30
    while not (logs := list(tmp_path.glob("*.log"))) and time.monotonic() < deadline:
        time.sleep(0.1)
    grandchild = _wait_for_grandchild(logs[0])
    parent.kill()
    parent.wait()
    assert _ends(grandchild)


def _wait_for_grandchild(log: Path) -> int:
    deadline = time.monotonic() + 30
    while "grandchild" not in (text := log.read_text()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return _grandchild(text)


def _grandchild(text: str) -> int:
    """The process id that the hanging target has printed."""
    return int(text.partition("grandchild ")[2].split()[0])


def _ends(pid: int) -> bool:
    """Whether a process is gone, or is about to be."""
    deadline = time.monotonic() + 10
    while _alive(pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    return not _alive(pid)


def _alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().split()[2]
    except OSError:
        return False
