"""One warm child process that compiles and runs. A compiler that crashes or hangs in it is an outcome.

The child writes the stage it enters into shared memory, so that the parent knows where it died. It leads a
process group of its own: what a compiler has started goes with it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import TimeoutError as DeadlineExceeded
from hashlib import blake2b
from multiprocessing.context import SpawnContext, SpawnProcess
from pathlib import Path
from threading import Lock
from time import sleep
from types import ModuleType
from typing import Any

from pebble import ProcessExpired, ProcessPool

from conformance.cases.outcome import Aspect, Check, Outcome, Stage, Status, describe_outcome
from conformance.cases.span import Operator
from conformance.core.errors import ModelError, first_line
from conformance.host.cores import VISIBLE
from conformance.host.monitor import Monitor
from conformance.host.trouble import HostTrouble, core_trouble, no_core
from conformance.programs.workarounds import variables as workaround_variables
from conformance.running import child
from conformance.running.child import PROCESS, SPOILT, STAGE, Job
from conformance.running.leases import Leases
from conformance.targets.loading import load_target

_STAGES = list(Stage)


class _Process(SpawnProcess):
    """A child that does not run the program which started it, as `spawn` would have it: that may be anyone's script,
    and nothing of it is needed."""

    @staticmethod
    def _Popen(process_obj: Any) -> Any:  # noqa: N802 (the name that multiprocessing calls)
        with _STARTING:
            main = sys.modules["__main__"]
            sys.modules["__main__"] = ModuleType("__main__")
            try:
                return SpawnProcess._Popen(process_obj)
            finally:
                sys.modules["__main__"] = main


class _Context(SpawnContext):
    Process = _Process


_STARTING = Lock()
_LOG_TAIL = 4000
# Seconds until a NeuronCore that is busy is asked for again: a core is not always free once its process has ended.
_PAUSES = (1, 2, 4, 8, 15, 30)


class ChildDied(ModelError):
    """A child that was asked something has not lived to answer: a crash or a timeout, and its signature."""

    def __init__(self, text: str, status: Status, signature: str) -> None:
        super().__init__(text)
        self.status, self.signature = status, signature


class Worker:
    """Runs jobs one by one. Children stay warm, one for each set of environment variables that was needed; `leases`
    are the NeuronCores of them all."""

    def __init__(self, threads: int, timeout: float) -> None:
        self.threads = threads
        self.timeout = timeout
        self.leases = Leases(end=self._end_holders)
        self._context = _Context()
        self._shared = self._context.Array("l", 3, lock=False)  # stage, process id, whether it is spoilt
        self._pools: dict[frozenset[tuple[str, str]], ProcessPool] = {}
        self._cases: dict[frozenset[tuple[str, str]], int] = {}  # that the child of each pool has run
        self._died: Outcome | None = None  # what the last case's child died of
        self._children: set[int] = set()
        self._log = Path(tempfile.mkstemp(prefix="conformance-", suffix=".log")[1])
        self._kept = self._log.with_suffix(".json")  # what is known of the case that runs
        self._pauses = list(_PAUSES)
        self._front_ends: dict[tuple[object, ...], str] = {}
        self._monitor: Monitor | None = None

    @property
    def stage(self) -> Stage:
        """Where the child is that runs, or ran last."""
        return _STAGES[int(self._shared[STAGE])]

    def variables(self, job: Job) -> dict[str, str]:
        """The environment variables of the child that runs a job; with them it has its NeuronCores."""
        return self.leases.process(load_target(job.target), job.case.column)

    def run(self, job: Job, variables: Mapping[str, str], timeout: float | None = None) -> Outcome:
        """The outcome of a job, whatever becomes of the child. Errors of our own are raised, and HostTrouble where
        the host gives no NeuronCore: for a minute in all, until a case has run again, it is asked once more."""
        while True:
            try:
                outcome = self._run_alone(job, variables, timeout or self.timeout)
            except HostTrouble:
                self.end(variables)  # the runtime of a process in which it failed is lost
                if not self._pauses:
                    raise
                sleep(self._pauses.pop(0))
            else:
                self._pauses = list(_PAUSES)
                return self._counted(outcome) if VISIBLE in variables else outcome

    def _run_alone(self, job: Job, variables: Mapping[str, str], timeout: float) -> Outcome:
        """The outcome of a job; of one whose child had run others before it died, that in a child of its own: what a
        compiler leaves behind may be what ends it, as where there is no room for more code."""
        cases = self._cases.get(frozenset(variables.items()), 0)
        outcome = self._run(job, variables, timeout)
        if self._died is None or self._died.status is not Status.CRASH or not cases:
            return outcome
        first = describe_outcome(self._died.status, self._died.stage, self._died.signature)
        outcome = self._run(job, variables, timeout)
        if self._died is not None:
            return outcome
        note = f"after {cases} other cases in one process: {first}; this is what came of it in a process of its own"
        return outcome.model_copy(update={"notes": [*outcome.notes, note]})

    def _counted(self, outcome: Outcome) -> Outcome:
        """The outcome with what neuron-monitor counted while it was found."""
        if not self._monitor or not self._monitor.runs:
            return outcome
        executions, notes = self._monitor.counted(self._shared[PROCESS]), outcome.notes
        if not executions and outcome.stage is Stage.COMPARE:
            notes = [*notes, "neuron-monitor has counted no execution of it on a NeuronCore"]
        return outcome.model_copy(update={"executions": executions, "notes": notes})

    def _run(self, job: Job, variables: Mapping[str, str], timeout: float) -> Outcome:
        if VISIBLE in variables:  # a child of other variables would hold the same NeuronCores
            self._end_holders(frozenset(variables.items()))
            self._monitor = self._monitor or Monitor()
        log_start = self._log.stat().st_size
        self._shared[:] = [0, 0, 0]
        self._kept.unlink(missing_ok=True)
        self._died = None
        pool, name = self._pool(variables), frozenset(variables.items())
        cases = self._cases.pop(name, 0)
        task = pool.schedule(child.execute, args=[job, str(self._kept)], timeout=timeout)
        try:
            outcome = Outcome.model_validate_json(task.result())
            if outcome.status is Status.ERROR:  # what was raised need not say it, and the console does
                self._require_cores(variables, log_start)
        except DeadlineExceeded:
            status, signature = Status.TIMEOUT, f"{timeout:g} s"
        except ProcessExpired as expired:
            status, signature = Status.CRASH, exit_cause(expired.exitcode)
        else:
            self._cases[name] = cases + 1
            if self._shared[SPOILT]:  # another case would not find torch, or the model, as they were
                self.end(variables)
            return outcome
        finally:
            self._children.add(self._shared[PROCESS])
        self._children.discard(self._shared[PROCESS])
        _end_group(self._shared[PROCESS])
        self._require_cores(variables, log_start)
        died = self._died = Outcome(
            stage=_STAGES[self._shared[STAGE]],
            status=status,
            signature=signature,
            detail=self._log_since(log_start) or None,
        )
        if self._kept.is_file():
            return _untapped(Outcome.model_validate_json(self._kept.read_text(encoding="utf-8")), died)
        return self._explained(job, variables, died, timeout) if status is Status.CRASH else died

    def _explained(self, job: Job, variables: Mapping[str, str], died: Outcome, timeout: float) -> Outcome:
        """The outcome of a child that died with the known defects that explain it, as another child finds them; as it
        is where that one dies, too."""
        task = self._pool(variables).schedule(
            child.explain_death, args=[job, died.model_dump_json()], timeout=timeout
        )
        try:
            return Outcome.model_validate_json(task.result())
        except Exception:  # noqa: BLE001 (it is no more than an explanation)
            return died

    def front_end(self, job: Job, hlo: str) -> str:
        """How the HLO that a compiler was given differs from that of torch-xla on the CPU for the same program: is it
        the front end that is to blame, or what comes after it? Or why that could not be told."""
        found = load_target("xla")
        if missing := found.missing():
            return f"not compared: {missing}"
        workarounds = job.case.column.workarounds
        made_from = (job.case.subject, job.case.layer, workarounds, blake2b(Path(hlo).read_bytes()).digest())
        if made_from not in self._front_ends:
            pool = self._pool({**found.variables, **workaround_variables(workarounds)})
            try:
                text = pool.schedule(child.front_end, [job, hlo], timeout=self.timeout).result()
            except Exception as error:  # noqa: BLE001 (of torch-xla's, of any kind; it is no more than an explanation)
                text = f"not compared: torch-xla on the CPU: {first_line(error)}"
            self._front_ends[made_from] = text
        return self._front_ends[made_from]

    def described(self, system: str, variables: Mapping[str, str]) -> str:
        """What the system of one model is loaded by once it is known what it has: it is built in the child that will
        run it. Raises UserError and ModelError for what cannot be built."""
        return str(self.answer(variables, "building it", child.described, system))

    def operators(self, job: Job, variables: Mapping[str, str]) -> list[Operator]:
        """The operators of a case's program. Raises UserError and ModelError where there is no graph of it."""
        return list(self.answer(variables, "capturing it", child.operators, job))

    def answer(self, variables: Mapping[str, str], what: str, ask: Callable[..., Any], *given: Any) -> Any:
        """What a child answers when it is asked. Raises what that raises, and ModelError where it does not live to
        answer; `what` says what it was doing."""
        self._shared[:] = [0, 0, 0]
        start = self._log.stat().st_size
        try:
            return self._pool(variables).schedule(ask, args=given, timeout=self.timeout).result()
        except DeadlineExceeded:
            limit = f"{self.timeout:g} s"
            raise ChildDied(f"{what} takes longer than {limit}", Status.TIMEOUT, limit) from None
        except ProcessExpired as expired:
            said, cause = self._log_since(start).strip().splitlines()[-1:], exit_cause(expired.exitcode)
            raise ChildDied(": ".join([f"{what} ends its process: {cause}", *said]), Status.CRASH, cause) from None

    def kill(self) -> None:
        """Kill the children and whatever they have started; the next case gets another one."""
        for name in list(self._pools):
            self.end(dict(name))
        for child_id in {*self._children, self._shared[PROCESS]}:
            _end_group(child_id)
        self._children.clear()

    def close(self) -> None:
        """End the children and whatever they have started, and what is kept for them."""
        self.kill()
        if self._monitor:
            self._monitor.close()
        for path in (self._log, self._kept):
            path.unlink(missing_ok=True)

    def end(self, variables: Mapping[str, str]) -> None:
        """End the child of these environment variables, where there is one: no case needs it any more."""
        self._cases.pop(frozenset(variables.items()), None)
        pool = self._pools.pop(frozenset(variables.items()), None)
        if pool is None:
            return
        pool.stop()  # type: ignore[no-untyped-call]
        pool.join()

    def _end_holders(self, kept: frozenset[tuple[str, str]] | None = None) -> None:
        """End the children that hold NeuronCores, but the one that is kept."""
        for name in self._pools.keys() - {kept}:
            if VISIBLE in dict(name):
                self.end(dict(name))

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

    def _require_cores(self, variables: Mapping[str, str], log_start: int) -> None:
        """Raises HostTrouble where a case that needed NeuronCores got none, by what its process has printed."""
        if VISIBLE in variables and no_core(self._log_since(log_start)):
            raise core_trouble(variables[VISIBLE])

    def _log_since(self, start: int) -> str:
        """The end of what the child printed: a compiler's last words."""
        with self._log.open("rb") as file:
            file.seek(start)
            return file.read()[-_LOG_TAIL:].decode(errors="replace").strip()


def _untapped(known: Outcome, died: Outcome) -> Outcome:
    """What was known of a case before the program with all layers tapped ended the process."""
    why = f"with all layers tapped: {describe_outcome(died.status, died.stage, died.signature)}"
    return known.model_copy(
        update={"checks": [*known.checks, Check(of=Aspect.IN_PLACE, status=Status.NOT_RUN, detail=why)]}
    )


def _end_group(process_id: int) -> None:
    """Kill a child and whatever it has started; 0 is a child that never lived."""
    if process_id:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process_id, signal.SIGKILL)


def exit_cause(exit_code: int | None) -> str:
    """`SIGSEGV` for a signal, `exit 70` for an exit."""
    if exit_code is not None and exit_code < 0:
        return signal.Signals(-exit_code).name
    return f"exit {exit_code}"
