"""The run: each model's faults, planted and looked for, over as many processes as there are to be."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cache
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter

from pydantic import BaseModel
from rich.console import Console

from benchmarks.localize import real
from benchmarks.localize.draw import COUNTS, draw
from benchmarks.localize.others import others
from benchmarks.localize.plant import Fault
from benchmarks.localize.score import OURS, Said, Scored, scored
from conformance.cases.outcome import Outcome
from conformance.checking.case_runner import CaseRunner
from conformance.checking.check import nobody, prepared
from conformance.core.errors import UserError
from conformance.core.store import digest
from conformance.localize.answer import Answer
from conformance.localize.localize import localize
from conformance.localize.oracle import calls_for, verdict
from conformance.localize.reproduce import RUNS, minimized, reproduce, small_job
from conformance.localize.search import Kind, Verdict
from conformance.running.child import Job
from conformance.running.worker import Worker
from conformance.selection.expand import Chosen
from conformance.selection.model import ModelRequest, find_model
from conformance.targets.loading import load_target

# The smallest model of every system, at a size that its strides allow.
MODELS = {
    "toydet-98k-detect": "64",
    "fasterrcnn-mobilenet-rpn-head": "64",
    "fasterrcnn-mobilenet-backbone": "64",
    "yolov4-tiny-detect": "64",
    "yolov9t-detect": "64",
    "yolo26n-detect": "64",
    "yolo12n-detect": "64",
    "yolov13n-detect": "64",
}
REAL = "real"
_ROOT = Path(__file__).parents[2]
_CODE = ("benchmarks/localize", *(f"conformance/{name}" for name in ("compare", "golden", "localize", "running")))
_DRAWN = 12  # faults that are drawn for one that shows
_SMALL = 2  # of each class and model whose smallest program is made as well
_COMPARED = 1  # of each class that others are asked about, too, in those models that are small enough for them
_COMPARED_IN = tuple(MODELS)[:4]
_TIMEOUT = 300.0  # seconds of a case


@dataclass(frozen=True)
class Work:
    """The faults of a class in a model."""

    model: str
    of_class: str
    count: int
    seed: int

    @property
    def key(self) -> str:
        """By what it is known when it was done before."""
        return f"{self.model} {self.of_class} {self.count} {self.seed}"


class Done(BaseModel):
    """What came of the faults of a class in a model, and how many were drawn for it that do not show."""

    scored: list[Scored]
    hidden: int = 0


class Lines:
    """A file of JSON lines: what was done, so that a run that was ended goes on. Of other code nothing is taken."""

    def __init__(self, path: Path | None) -> None:
        self.path = path

    def read(self) -> dict[str, Done]:
        """By the keys of the work."""
        if self.path is None or not self.path.is_file():
            return {}
        lines = map(json.loads, self.path.read_text(encoding="utf-8").splitlines())
        return {line["key"]: Done.model_validate(line["done"]) for line in lines if line.get("code") == code()}

    def write(self, key: str, done: Done) -> None:
        """Append one."""
        if self.path is None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"key": key, "code": code(), "done": done.model_dump()}) + "\n")


@cache
def code() -> str:
    """The digest of the code that an answer comes from."""
    files = sorted(file for folder in _CODE for file in _ROOT.glob(f"{folder}/**/*.py"))
    return digest({str(file.relative_to(_ROOT)): file.read_text(encoding="utf-8") for file in files})


def planned(models: Sequence[str], targets: Sequence[str], seed: int, counts: dict[str, int] = COUNTS) -> list[Work]:
    """One model after the other, so that a process seldom builds another; then the real defects of the targets."""
    planted = [Work(model, of_class, count, seed) for model in models for of_class, count in counts.items()]
    return planted + [Work(target, REAL, 0, 0) for target in targets]


def run(work: Sequence[Work], workers: int, lines: Lines, console: Console) -> list[Done]:
    """All of it; a line about each part."""
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ["PYTHONPATH"] = os.pathsep.join([str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    done, start = lines.read(), perf_counter()
    found = [done[part.key] for part in work if part.key in done]
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        tasks = {pool.submit(perform, part): part for part in work if part.key not in done}
        for number, task in enumerate(as_completed(tasks), 1):
            part, some = tasks[task], task.result()
            lines.write(part.key, some)
            found.append(some)
            ours = [one for one in some.scored if one.said.by == OURS]
            said = f"{sum(one.right for one in ours)} of {len(ours)} right"
            console.print(
                f"{number}/{len(tasks)} {perf_counter() - start:.0f} s  {part.key}: {said}", highlight=False
            )
    return found


def perform(work: Work) -> Done:
    """What came of the faults of a class in a model."""
    with closing(Worker(1, _TIMEOUT)) as worker:
        if work.of_class == REAL:
            return Done(scored=list(_real(work, worker)))
        done = Done(scored=[])
        for some in _looked_for(work, worker):
            done.scored += some
            done.hidden += not some
        return done


def _looked_for(work: Work, worker: Worker) -> Iterator[list[Scored]]:
    """The answers about one fault after the other; none where it does not show."""
    runner = _runner(work.model, Fault(of_class="operator"), worker)
    job = runner.job(runner.selection.models[0])
    operators, shown = worker.operators(job, worker.variables(job)), 0
    for fault in islice(draw(work.of_class, operators, f"{work.seed}/{work.model}"), work.count * _DRAWN):
        if shown == work.count:
            return
        runner = _runner(work.model, fault, worker)
        (case,) = runner.selection.models
        job = runner.job(case)
        whole = runner.run(case)
        if not whole.failed:
            yield []
            continue
        shown += 1
        answer, said = _ours(job, worker, whole)
        truth = fault.truth(operators)
        about = (work.model, work.of_class, fault.model_dump_json(exclude_defaults=True), len(operators), truth)
        one = scored(*about, said)
        if answer is not None and one.right and shown <= _SMALL and work.of_class != "drift":
            one = one.model_copy(update={"script": _small(answer, job, worker)})
        asked = shown <= _COMPARED and work.model in _COMPARED_IN
        compared = others(fault, job, operators) if asked else ()
        yield [one, *(scored(*about, other) for other in compared)]


def _runner(model: str, fault: Fault, worker: Worker) -> CaseRunner:
    chosen = Chosen(named=True, batches=[2], resolutions=[MODELS[model]], dtypes=["float32"])
    request = ModelRequest(find_model(model), (fault.spec,), chosen)
    return CaseRunner(prepared(request, worker), worker, None)


def _ours(job: Job, worker: Worker, whole: Outcome) -> tuple[Answer | None, Said]:
    start = perf_counter()
    try:
        answer = localize(job, worker, whole, nobody, borders=False)
    except UserError as error:
        return None, Said(by=OURS, failed=str(error)[:200], seconds=perf_counter() - start)
    places = tuple(tuple(place.number for place in places) for places in answer.places)
    return answer, Said(
        by=OURS, kind=answer.kind.value, places=places, compiles=answer.compiles, seconds=perf_counter() - start
    )


def _small(answer: Answer, job: Job, worker: Worker) -> str:
    """Whether the smallest program of it fails the same way three times."""
    if answer.kind not in (Kind.OPERATOR, Kind.SPAN, Kind.INTERMITTENT) or not answer.places:
        return ""
    try:
        recipe, outcome, _ = minimized(answer, job, worker, nobody)
    except UserError:
        return "not tried"
    calls = calls_for(answer.rate.low) if answer.rate is not None else job.calls
    often = [worker.run(replace(small_job(job, recipe), calls=calls), worker.variables(job)) for _ in range(RUNS)]
    return "3 of 3" if all(verdict(one, outcome) is Verdict.WRONG for one in often) else "no"


def _real(work: Work, worker: Worker) -> Iterator[Scored]:
    """The real defects of a target."""
    for name, model in real.cases(load_target(work.model)):
        request = ModelRequest(find_model(model), (work.model,), Chosen(named=True))
        try:
            runner = CaseRunner(prepared(request, worker), worker, None)
            (case,) = runner.selection.models
            job, whole = runner.job(case), runner.run(case)
            if not whole.failed:
                continue
            operators = worker.operators(job, worker.variables(job))
        except UserError:  # it has no graph, or is no model of one set of inputs
            continue
        answer, said = _ours(job, worker, whole)
        one = scored(work.model, REAL, name, len(operators), real.truth(operators), said)
        yield one.model_copy(update={"script": "" if answer is None else _scripted(answer, job, worker)})


def _scripted(answer: Answer, job: Job, worker: Worker) -> str:
    """Whether a script of it shows it in each of three runs."""
    try:
        found = reproduce(answer, job, worker, nobody)
    except UserError:
        return "not tried"
    return "3 of 3" if found.confirmed else "no"
