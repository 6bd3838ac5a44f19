"""Architectures of a survey that are compiled and run, each as `conformance check` does it. Records say what came
of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from conformance.cases.outcome import Record
from conformance.checking.check import check_model
from conformance.core.errors import UserError
from conformance.results.records import RecordWriter, records_file
from conformance.running.worker import Worker
from conformance.selection.expand import Chosen
from conformance.selection.model import ModelRequest, find_model
from conformance.survey.results import State, Surveyed
from conformance.survey.verdicts import key, verdicts
from conformance.targets.loading import load_target


@dataclass(frozen=True)
class Judging:
    """On which targets, those of at most how many parameters, how many at a time, and the seconds that each may take;
    `folder` is that of the records."""

    targets: tuple[str, ...]
    folder: Path
    most: float
    batch: int
    workers: int
    timeout: float

    def chosen(self, lines: Iterable[Surveyed], records: Sequence[Record]) -> list[Surveyed]:
        """Those that are small enough and have not a record of every target yet; the smallest first."""
        names, there = {load_target(spec).name for spec in self.targets}, verdicts(records)
        small = [line for line in lines if line.state is State.LINTED and (line.parameters or 0) <= self.most]
        left = [line for line in small if not names <= {one.target for one in there.get(key(line.id), ())}]
        return sorted(left, key=lambda line: line.parameters or 0)

    def run(self, lines: Sequence[Surveyed], tell: Callable[[str, int, int], None]) -> None:
        """Judge these; `tell` is told what came of each, how many are done, and of how many."""
        free: SimpleQueue[tuple[Worker, RecordWriter]] = SimpleQueue()
        workers = [Worker(max(1, (os.cpu_count() or 1) // self.workers), self.timeout) for _ in range(self.workers)]
        for number, worker in enumerate(workers):
            free.put((worker, RecordWriter(records_file(self.folder, f"survey{number}"))))

        def judge(line: Surveyed) -> str:
            worker, writer = free.get()
            try:
                return f"{line.id}: {check_model(self._request(line), worker, writer).headline}"
            except UserError as error:
                return f"{line.id}: {error}"
            finally:
                free.put((worker, writer))

        try:
            with ThreadPoolExecutor(self.workers) as threads:
                for done, task in enumerate(as_completed([threads.submit(judge, line) for line in lines]), 1):
                    tell(task.result(), done, len(lines))
        finally:
            for worker in workers:
                worker.close()

    def _request(self, line: Surveyed) -> ModelRequest:
        sizes = [line.resolution] if line.asked and line.resolution else None  # its own, of one that takes no other
        chosen = Chosen(named=True, batches=[self.batch], resolutions=sizes)
        return ModelRequest(find_model(line.id), self.targets, chosen)
