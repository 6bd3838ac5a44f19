"""A target measured: every operator and dtype in a process of a pool, and its row as soon as it is known."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from fnmatch import fnmatchcase
from importlib.metadata import version
from pathlib import Path
from queue import SimpleQueue

from conformance.cases.case import Column
from conformance.cases.outcome import Status
from conformance.core.errors import UserError
from conformance.core.reading import read_json
from conformance.core.text import json_by_line
from conformance.measuring import child
from conformance.measuring.ask import TOGETHER, Answer, Ask
from conformance.operators.results import Results, Row, Sampled, State, row
from conformance.running.child import Job
from conformance.running.worker import ChildDied, Worker
from conformance.targets.loading import load_target

DTYPES = ("float32", "bfloat16", "float16", "int64")
# Rows until a process makes way for a fresh one: what compilers keep of each grows.
_IN_A_PROCESS = 40
_SAVED = 25  # rows after which the file is written again

# Called with a row that is done, how many are, and of how many.
Tell = Callable[[Row, int, int], None]


@dataclass(frozen=True)
class Measuring:
    """A target, the operators whose names are like one of `match`, the dtypes, and the folder of the tables."""

    target: str
    output: Path
    match: tuple[str, ...] = ("*",)
    dtypes: tuple[str, ...] = DTYPES
    workers: int = 1
    timeout: float = 60.0
    again: bool = False

    @property
    def column(self) -> Column:
        """The target as it is when nothing is asked of it."""
        target = load_target(self.target)
        return Column(target.name, sdk=target.sdks[-1] if target.sdks else None, hardware=target.default_hardware[0])

    @property
    def versions(self) -> dict[str, str]:
        """Those that the rows depend on, that of the target first."""
        column = self.column
        packages = load_target(self.target).packages(column.hardware, column.sdk)
        return {**packages, "torch": version("torch"), "machine": platform.machine()}

    @property
    def path(self) -> Path:
        """The file: `openvino-2026.4.1.json`."""
        return self.output / f"{self.column.target}-{next(iter(self.versions.values()))}.json"

    def run(self, tell: Tell) -> Results:
        """Every row that is asked for, beside those that the same versions have made before. Raises UserError where
        nothing is asked for."""
        known = {(one.operator, one.dtype): one for one in self._before()}
        with ThreadPoolExecutor(self.workers) as threads, _Workers(self.workers, self.timeout) as workers:
            asks = self._asks(workers.names())
            left = [ask for ask in asks if self.again or (ask.operator, ask.dtype) not in known]
            done = len(asks) - len(left)
            tasks = [threads.submit(workers.row, ask) for ask in left]
            try:
                for number, task in enumerate(as_completed(tasks), 1):
                    found = task.result()
                    known[found.operator, found.dtype] = found
                    tell(found, done + number, len(asks))
                    if number % _SAVED == 0:
                        self._save(known.values())
            finally:
                threads.shutdown(wait=False, cancel_futures=True)
                results = self._save(known.values())
        return results

    def _asks(self, names: Sequence[str]) -> list[Ask]:
        chosen = [name for name in names if any(fnmatchcase(name, pattern) for pattern in self.match)]
        if not chosen:
            raise UserError(
                f"no operator is like {','.join(self.match)!r}; torch calls them nn.functional.conv2d, add"
            )
        return [Ask(name, dtype, self.target, self.column) for name in chosen for dtype in self.dtypes]

    def _before(self) -> list[Row]:
        if not self.path.is_file():
            return []
        found = read_json(self.path, Results)
        return found.rows if found.versions == self.versions else []

    def _save(self, rows: Iterable[Row]) -> Results:
        """The file, with what it had and has now; in one step, so that it is never half written."""
        ordered = sorted(rows, key=lambda one: (one.operator, DTYPES.index(one.dtype)))
        today = datetime.now(timezone.utc).date()
        results = Results(target=self.column.target, versions=self.versions, measured=today, rows=ordered)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        part = self.path.with_suffix(".part")
        part.write_text(
            json_by_line(results.model_dump(mode="json", exclude_defaults=True), "rows"), encoding="utf-8"
        )
        part.replace(self.path)
        return results


class _Workers:
    """Those that are free, and how many rows each has made."""

    def __init__(self, count: int, timeout: float) -> None:
        self._all = [Worker(1, timeout) for _ in range(count)]
        self._free: SimpleQueue[Worker] = SimpleQueue()
        self._rows = dict.fromkeys(map(id, self._all), 0)
        for worker in self._all:
            self._free.put(worker)

    def __enter__(self) -> _Workers:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._all:
            worker.close()

    def names(self) -> list[str]:
        """Every operator there is. Raises UserError where torch's database cannot be read."""
        return list(self._all[0].answer({}, "reading torch's operators", child.names))

    def row(self, ask: Ask) -> Row:
        """What came of an operator in a dtype, with the next worker that is free."""
        worker = self._free.get()
        variables = worker.variables(Job(ask.case, "", ask.target))
        try:
            return _row(worker, variables, ask)
        finally:
            self._rows[id(worker)] += 1
            if self._rows[id(worker)] % _IN_A_PROCESS == 0:
                worker.end(variables)
            self._free.put(worker)


def _row(worker: Worker, variables: dict[str, str], ask: Ask) -> Row:
    """Its samples in one program; one by one where that is not right."""

    def asked(what: Callable[[Ask], str], one: Ask) -> Answer:
        try:
            return Answer.model_validate_json(worker.answer(variables, one.operator, what, one))
        except ChildDied as died:
            state = State.TIMEOUT if died.status is Status.TIMEOUT else State.CRASH
            return Answer(died=Sampled(sample=one.sample or TOGETHER, state=state, signature=died.signature))

    together = asked(child.measure, ask)
    if whole := together.died:
        together = asked(child.outline, ask).model_copy(update={"whole": whole})
    alone: list[Sampled] = []
    for name in together.apart:
        found = asked(child.measure, replace(ask, sample=name))
        alone += [found.died] if found.died else found.samples
    if together.whole is not None and all(one.state in (State.RIGHT, State.UNDECIDED) for one in alone):
        alone.append(together.whole)
    return row(ask.operator, ask.dtype, [*together.samples, *alone], tuple(together.aten))
