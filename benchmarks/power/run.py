"""The run: jobs of a minute or less, over as many processes as there are to be, and a line or a bar about each."""

from __future__ import annotations

import json
import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from functools import lru_cache
from math import ceil
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.power.examine import examine
from benchmarks.power.faults import kinds_at
from benchmarks.power.findings import MAIN, Cell, Finding, Results
from benchmarks.power.gates import OURS
from benchmarks.power.healthy import cells
from benchmarks.power.mutants import Mutant, draw_all
from benchmarks.power.systems import ENTRIES, Entry
from benchmarks.power.testbed import Testbed, make_testbed
from conformance.compare.limits import limit
from conformance.core.store import digest
from conformance.running.comparison import FORM

_MUTANTS_A_JOB = 40
# There are many, and each is a check of what was measured on the others, not a measurement.
HELD_OUT_SHARE = 8
HELD_OUT_DTYPES = ("float32", "bfloat16")


class Checkpoint:
    """A file of JSON lines, each with the digest of what its job depends on: of another one nothing is taken."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> dict[str, Results]:
        """The results by the digests of their jobs."""
        if not self.path.is_file():
            return {}
        lines = map(json.loads, self.path.read_text(encoding="utf-8").splitlines())
        return {line["key"]: _results(line) for line in lines}

    def write(self, key: str, job: str, results: Results) -> None:
        """Append one, and flush it."""
        line = {"key": key, "job": job, **asdict(results)}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def _results(line: dict[str, Any]) -> Results:
    findings = (Finding(**{**one, "caught": tuple(one["caught"])}) for one in line["findings"])
    cells = (Cell(**{**one, "shape": tuple(one["shape"]), "flagged": tuple(one["flagged"])}) for one in line["cells"])
    return Results(tuple(findings), tuple(cells))


@dataclass(frozen=True)
class Plan:
    """What is run: for each system `per_kind` faults of each kind in float32 and a quarter of it at the other dtypes,
    and for each system and dtype `images` batches of images through each target at its first `shapes` shapes. Of
    those that are held out an eighth of the faults, at two dtypes."""

    systems: tuple[str, ...]
    dtypes: tuple[str, ...]
    per_kind: int
    seed: int
    targets: tuple[str, ...]
    images: int
    shapes: int
    workers: int


@dataclass(frozen=True)
class Planting:
    """A part of the faults of a system."""

    entry: Entry
    dtype: str
    per_kind: int
    seed: int
    part: int
    parts: int

    def __str__(self) -> str:
        return f"{self.entry.name} {self.dtype}, faults {self.part + 1}/{self.parts}"


@dataclass(frozen=True)
class Control:
    """The healthy cells of a system at one shape."""

    entry: Entry
    dtype: str
    shape: tuple[int, int, int]
    targets: tuple[str, ...]
    images: int

    def __str__(self) -> str:
        batch, height, width = self.shape
        return f"{self.entry.name} {self.dtype}, healthy at b{batch}/{height}x{width}"


Job = Planting | Control


def run_plan(plan: Plan, console: Console, checkpoint: Checkpoint | None = None) -> Results:
    """Everything of a plan; what a run before has left in `checkpoint` is not done again. Raises UserError where a
    system cannot be had or is not right."""
    os.environ["OMP_NUM_THREADS"] = "1"  # read when a worker loads torch
    wanted, done = {key(job): job for job in jobs(plan)}, checkpoint.read() if checkpoint else {}
    with ProcessPoolExecutor(plan.workers, get_context("spawn"), initializer=_quiet) as pool:
        for job, results in _followed(pool, [job for name, job in wanted.items() if name not in done], console):
            done[name := key(job)] = results
            if checkpoint:
                checkpoint.write(name, str(job), results)
    return sum((done[name] for name in wanted), Results())


def key(job: Job) -> str:
    """The digest of what the results of a job depend on: itself, the limits of the verdict, and how its baseline is
    made."""
    return digest({type(job).__name__: asdict(job), "limits": limit(job.dtype).model_dump(), "form": FORM})


def perform(job: Job) -> Results:
    """What came of one job."""
    if isinstance(job, Control):
        return Results(cells=tuple(cells(job.entry, job.dtype, job.shape, job.targets, job.images)))
    testbed, mutants = _drawn(job.entry, job.dtype, job.per_kind, job.seed)
    start, stop = (len(mutants) * part // job.parts for part in (job.part, job.part + 1))
    return Results(findings=tuple(examine(testbed, mutant) for mutant in mutants[start:stop]))


@lru_cache(maxsize=1)
def _drawn(entry: Entry, dtype: str, per_kind: int, seed: int) -> tuple[Testbed, list[Mutant]]:
    testbed = make_testbed(entry, dtype)
    return testbed, draw_all(testbed.sites, per_kind, f"{seed}/{entry.name}", kinds_at(dtype))


def jobs(plan: Plan) -> list[Job]:
    """Those of one system after another, so that a worker seldom changes its testbed."""
    found: list[Job] = []
    for dtype in plan.dtypes:
        per_kind = plan.per_kind if dtype == MAIN else ceil(plan.per_kind / 4)
        parts = ceil(per_kind * len(kinds_at(dtype)) / _MUTANTS_A_JOB)
        for entry in (ENTRIES[name] for name in plan.systems):
            if entry.held_out:
                if dtype in HELD_OUT_DTYPES:
                    few = ceil(per_kind / HELD_OUT_SHARE)
                    found.append(Planting(entry, dtype, few, plan.seed, 0, 1))
                    found += [Control(entry, dtype, shape, plan.targets, plan.images) for shape in entry.shapes]
                continue
            found += [Planting(entry, dtype, per_kind, plan.seed, part, parts) for part in range(parts)]
            if plan.images:
                shapes = entry.shapes[: plan.shapes]
                found += [Control(entry, dtype, shape, plan.targets, plan.images) for shape in shapes]
    return found


def _followed(pool: ProcessPoolExecutor, jobs: Sequence[Job], console: Console) -> Iterator[tuple[Job, Results]]:
    """The results as they come, with their job; a bar on a terminal, else a line each."""
    start = perf_counter()
    submitted = {pool.submit(perform, job): job for job in jobs}
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task("", total=len(jobs))
        for number, future in enumerate(as_completed(submitted), 1):
            job, results = submitted[future], future.result()
            line = f"{job}: {summary(results)}"
            progress.update(bar, advance=1, description=line)
            if not console.is_terminal:
                line = f"{number}/{len(jobs)} {perf_counter() - start:.0f} s  {line}"
                console.print(line, highlight=False, soft_wrap=True)
            yield job, results


def summary(results: Results) -> str:
    """What came of a job, in a few words."""
    real, healthy = [finding for finding in results.findings if not finding.benign], results.healthy
    words = []
    if results.findings:
        words.append(f"{sum(OURS in finding.caught for finding in real)} of {len(real)} caught")
    if results.cells:
        words.append(f"{sum(OURS in cell.flagged for cell in healthy)} false alarms in {len(healthy)} cells")
    return ", ".join(words)


def _quiet() -> None:
    """One thread a process, and nothing of what torch and the compilers say about themselves."""
    import torch

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    logging.disable(logging.ERROR)  # converters log what they then handle
