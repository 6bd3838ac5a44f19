"""One warm child process that compiles and runs. A compiler that crashes or hangs in it is an outcome.

The child writes the stage it enters into shared memory, so that the parent knows where it died. It leads a
process group of its own: what a compiler has started goes with it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
from collections.abc import Mapping
from concurrent.futures import TimeoutError as DeadlineExceeded
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from pebble import ProcessExpired, ProcessPool

from conformance.cases.case import Case
from conformance.cases.outcome import Outcome, Stage, Status
from conformance.host.cores import VISIBLE
from conformance.running import child
from conformance.running.leases import Leases

_STAGES = list(Stage)
_LOG_TAIL = 4000


@dataclass(frozen=True)
class Job:
    """A case and the names its system, target and weights are loaded by; `pictures` is a folder of a user's own, to
    count detections on."""

    case: Case
    system: str
    target: str
    weights: str | None = None
    pictures: str | None = None


class Worker:
    """Runs jobs one by one. Children stay warm, one for each set of environment variables that was needed; `leases`
    are the NeuronCores of them all."""

    def __init__(self, threads: int, timeout: float) -> None:
        self.threads = threads
        self.timeout = timeout
        self.leases = Leases()
        self._context = get_context("spawn")
        self._shared = self._context.Array("l", 2, lock=False)  # stage, process id
        self._pools: dict[frozenset[tuple[str, str]], ProcessPool] = {}
        self._children: set[int] = set()
        self._log = Path(tempfile.mkstemp(prefix="conformance-", suffix=".log")[1])

    def run(self, job: Job, variables: Mapping[str, str], timeout: float | None = None) -> Outcome:
        """The outcome of a job, whatever becomes of the child. Errors of our own are raised."""
        timeout = timeout or self.timeout
        if VISIBLE in variables:  # a child of other variables would hold the same NeuronCores
            self._end_all_but(frozenset(variables.items()))
        log_start = self._log.stat().st_size
        self._shared[:] = [0, 0]
        task = self._pool(variables).schedule(
            child.execute, args=[job.case, job.system, job.target, job.weights, job.pictures], timeout=timeout
        )
        try:
            return Outcome.model_validate_json(task.result())
        except DeadlineExceeded:
            status, signature = Status.TIMEOUT, f"{timeout:g} s"
        except ProcessExpired as expired:
            status, signature = Status.CRASH, _cause(expired.exitcode)
        finally:
            self._children.add(self._shared[1])
        self._children.discard(self._shared[1])
        _end_group(self._shared[1])
        return Outcome(
            stage=_STAGES[self._shared[0]],
            status=status,
            signature=signature,
            detail=self._log_since(log_start) or None,
        )

    def close(self) -> None:
        """End the children and whatever they had started."""
        self._end_all_but(None)
        for child_id in {*self._children, self._shared[1]}:
            _end_group(child_id)
        self._log.unlink(missing_ok=True)

    def _end_all_but(self, kept: frozenset[tuple[str, str]] | None) -> None:
        for name in self._pools.keys() - {kept}:
            pool = self._pools.pop(name)
            pool.stop()  # type: ignore[no-untyped-call]
            pool.join()

    def _pool(self, variables: Mapping[str, str]) -> ProcessPool:
        name = frozenset(variables.items())
        if name not in self._pools:
            self._pools[name] = ProcessPool(
                max_workers=1,
                context=self._context,
                initializer=child.prepare,
                initargs=[dict(variables), self.threads, str(self._log), self._shared],
            )
        return self._pools[name]

    def _log_since(self, start: int) -> str:
        """The end of what the child printed: a compiler's last words."""
        with self._log.open("rb") as file:
            file.seek(start)
            return file.read()[-_LOG_TAIL:].decode(errors="replace").strip()


def _end_group(process_id: int) -> None:
    """Kill a child and whatever it has started; 0 is a child that never lived."""
    if process_id:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process_id, signal.SIGKILL)


def _cause(exit_code: int | None) -> str:
    """`SIGSEGV` for a signal, `exit 70` for an exit."""
    if exit_code is not None and exit_code < 0:
        return signal.Signals(-exit_code).name
    return f"exit {exit_code}"
