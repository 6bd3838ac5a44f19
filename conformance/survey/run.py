"""A survey: every architecture in a warm process of a pool, and its line as soon as it is known."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, wait
from concurrent.futures import TimeoutError as DeadlineExceeded
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from pebble import ProcessExpired, ProcessPool

from conformance.cases.releases import releases, resolve
from conformance.core.errors import UserError, check, first_line
from conformance.core.revision import suite_revision
from conformance.survey import child
from conformance.survey.child import Job
from conformance.survey.families import Outline, smallest
from conformance.survey.results import Lines, State, Surveyed
from conformance.systems.zoo import SOURCES, missing

HARDWARE = ("inf2", "trn1", "trn2")
# Architectures until a process makes way for a fresh one: what torch.export keeps of each grows.
_IN_A_PROCESS = 60
_LISTING = 300.0  # seconds
_KILLED = -9
# Architectures that are built at a time to tell their families.
_OUTLINED = 20

# Called with an architecture that is done, how many are, and of how many.
Tell = Callable[[Surveyed, int, int], None]


@dataclass(frozen=True)
class Question:
    """What is asked of every architecture: of which sources, of which names, for which releases and hardware; of the
    `smallest` of each family alone, or of all."""

    sources: tuple[str, ...]
    sdks: tuple[str, ...]
    hardware: tuple[str, ...]
    match: tuple[str, ...] = ("*",)
    batch: int = 1
    resolution: tuple[int, int] | None = None
    smallest: bool = False

    def __post_init__(self) -> None:
        """Raises UserError for what is not known, or not installed."""
        for source in self.sources:
            check("source of architectures", source, SOURCES)
        for hardware in self.hardware:
            check("hardware", hardware, HARDWARE)
        for sdk in self.sdks:
            resolve(sdk)
        for source in self.sources:
            if reason := missing(source):
                raise UserError(reason)

    @property
    def columns(self) -> dict[str, tuple[dict[str, str], str]]:
        """Packages and hardware of each column, `2.29.1/inf2`."""
        names = dict.fromkeys(map(resolve, self.sdks))
        return {f"{sdk}/{on}": (releases()[sdk].packages, on) for sdk in names for on in dict.fromkeys(self.hardware)}

    def chosen(self, source: str, names: Sequence[str]) -> list[str]:
        """The names that are asked for."""
        return [name for name in names if any(_fits(pattern, source, name) for pattern in self.match)]

    def jobs(self, source: str, names: Sequence[str]) -> list[Job]:
        """One for each of these architectures."""
        builder = SOURCES[source].builder
        shared = (self.batch, self.resolution, self.columns, child.versions(source), suite_revision())
        return [Job(source, builder, name, *shared) for name in names]


@dataclass(frozen=True)
class Survey:
    """A question, the file that its answers are added to, how many at a time, and the seconds that each may take."""

    question: Question
    lines: Lines
    workers: int = 1
    timeout: float = 120.0

    def run(self, tell: Tell, say: Callable[[str], None]) -> list[Surveyed]:
        """A line for every architecture: those that were there, and those that are made now. Raises UserError where
        nothing is asked for, and where another survey writes to the file."""
        with _alone(self.lines.path), self._pool() as pool:
            jobs = self._jobs(pool, say)
            known = {one.id: one for one in self.lines.read(say)}
            left = [job for job in jobs if job.id not in known or not job.is_answered_by(known[job.id])]
            if done := len(jobs) - len(left):
                say(f"{done} of {len(jobs)} were there already")
            for number, (job, line) in enumerate(self._answered(pool, left), done + 1):
                self.lines.add(line)
                known[job.id] = line
                tell(line, number, len(jobs))
        return [known[job.id] for job in jobs]

    def _jobs(self, pool: ProcessPool, say: Callable[[str], None]) -> list[Job]:
        """What is asked for. Raises UserError where it is nothing."""
        found: list[Job] = []
        for source in self.question.sources:
            try:
                listed = pool.schedule(child.names, args=[SOURCES[source].builder], timeout=_LISTING).result()
            except Exception as error:
                raise UserError(f"the architectures of {source} cannot be listed: {first_line(error)}") from error
            names = self.question.chosen(source, listed)
            if self.question.smallest:
                kept = self._smallest(pool, SOURCES[source].builder, names)
                say(f"{source}: {len(names)} architectures are of {len(kept)} families")
                names = kept
            found += self.question.jobs(source, names)
        if not found:
            raise UserError(
                f"no architecture of {', '.join(self.question.sources)} is like {','.join(self.question.match)!r}"
            )
        return found

    def _smallest(self, pool: ProcessPool, builder: str, names: Sequence[str]) -> list[str]:
        """The smallest of each family; also those of which it cannot be told, because their process died."""
        parts = [names[start : start + _OUTLINED] for start in range(0, len(names), _OUTLINED)]
        tasks = [pool.schedule(child.outlines, args=[builder, part], timeout=_LISTING) for part in parts]
        found: list[Outline] = []
        for part, task in zip(parts, tasks, strict=True):
            try:
                found += task.result()
            except (DeadlineExceeded, ProcessExpired):
                found += map(Outline, part)
        return smallest(found)

    def _answered(self, pool: ProcessPool, jobs: Sequence[Job]) -> Iterator[tuple[Job, Surveyed]]:
        """Each as it is done; no more are handed out than there are processes for, and a few that wait."""
        waiting = iter(jobs)
        running: dict[Any, Job] = {}
        while True:
            for job in waiting:
                running[pool.schedule(child.survey, args=[job], timeout=self.timeout)] = job
                if len(running) >= 2 * self.workers:
                    break
            if not running:
                return
            for task in wait(running, return_when=FIRST_COMPLETED).done:
                job = running.pop(task)
                yield job, _answer(job, task, self.timeout)

    @contextmanager
    def _pool(self) -> Iterator[ProcessPool]:
        """Processes that make way for others now and then; none is left behind."""
        pool = ProcessPool(
            max_workers=self.workers,
            max_tasks=_IN_A_PROCESS,
            context=get_context("spawn"),
            initializer=child.prepare,
        )
        try:
            yield pool
        finally:
            pool.stop()  # type: ignore[no-untyped-call]
            pool.join()


def _answer(job: Job, task: Any, timeout: float) -> Surveyed:
    """What became of an architecture, whatever became of its process."""
    try:
        return Surveyed.model_validate_json(task.result())
    except DeadlineExceeded:
        return job.surveyed(State.TIMEOUT, f"after {timeout:g} s", timeout)
    except ProcessExpired as expired:
        if expired.exitcode == _KILLED:
            return job.surveyed(State.TOO_LARGE, "its process was killed, as where there is no memory left")
        return job.surveyed(State.CRASH, f"its process ended with {expired.exitcode}")
    except Exception as error:  # noqa: BLE001 (of our own; the other architectures are none the worse)
        return job.surveyed(State.SUITE_ERROR, first_line(error))


def _fits(pattern: str, source: str, name: str) -> bool:
    """Whether a pattern, with `*`, is that of a name, or of it behind its source."""
    return fnmatchcase(name, pattern) or fnmatchcase(f"{source}:{name}", pattern)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """While nobody else adds to the file. Raises UserError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        held = FileLock(path.with_suffix(".lock")).acquire(timeout=0)
    except Timeout:
        raise UserError(f"another survey writes to {path}: give it another --output") from None
    with held:
        yield
