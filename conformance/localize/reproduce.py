"""From what is to blame to a script that shows it: the smallest program that fails the same way, run three times."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path

from conformance.cases.case import Case
from conformance.cases.outcome import Outcome, Status
from conformance.cases.span import Span, parse_span
from conformance.checking.check import Tell
from conformance.compare.limits import limit
from conformance.core.errors import UserError
from conformance.defects.catalogue import DEFECTS
from conformance.defects.frozen_fallback import FROZEN_FALLBACK
from conformance.localize.answer import Answer, Place
from conformance.localize.minimize import Minimizer
from conformance.localize.oracle import NUMBERS, calls_for, verdict
from conformance.localize.recipe import Recipe
from conformance.localize.scripts import runs_alone, script
from conformance.localize.search import Kind, Verdict
from conformance.localize.system import SYSTEM, from_json, subject_of
from conformance.running.child import Job
from conformance.running.worker import Worker, exit_cause

RUNS = 3
_STANDS_FOR = {"emulator": "neuron"}
_SECONDS = 300.0


@dataclass(frozen=True)
class Reproduction:
    """The smallest program that fails as a case does, the script that shows it, how many of its runs did, and how
    many programs were tried. `shown` is None where the script cannot be run here: its target is emulated, or one of
    which it is not known how it is called. `tried_with` is what came of the program with the workarounds of the known
    defects on, each alone."""

    place: tuple[Place, ...]
    recipe: Recipe
    text: str
    outcome: Outcome
    shown: int | None
    tried: int
    tried_with: Mapping[str, str]

    @property
    def confirmed(self) -> bool:
        """Whether every run of the script has shown it."""
        return self.shown == RUNS


def minimized(answer: Answer, job: Job, worker: Worker, tell: Tell) -> tuple[Recipe, Outcome, int]:
    """The smallest program that fails as what is to blame does, what comes of it, and how many were tried. Raises
    UserError where there is none."""
    if answer.kind not in (Kind.OPERATOR, Kind.SPAN, Kind.INTERMITTENT) or not answer.places:
        raise UserError(f"{answer.case} is {answer.kind.value}: there is no program of a few operators that shows it")
    variables = worker.variables(job)
    at_span = replace(job, case=replace(job.case, layer=str(Span(answer.span))))
    if answer.kind is Kind.INTERMITTENT and answer.rate is not None:
        at_span = replace(at_span, calls=calls_for(answer.rate.low))
        tell(f"each program is called {at_span.calls} times: what fails as often is missed in one of a hundred")
    wanted = worker.run(at_span, variables)
    recipe = from_json(worker.answer(variables, "writing it down", _written, at_span))
    found: dict[str, Outcome] = {}

    def fails(candidate: Recipe) -> bool:
        outcome = worker.run(replace(small_job(job, candidate), calls=at_span.calls), variables)
        same = verdict(outcome, wanted) is Verdict.WRONG and _images(outcome) == _images(wanted)
        same = same and (answer.kind is Kind.INTERMITTENT or _first_call(outcome) == _first_call(wanted))
        if same:
            found[candidate.model_dump_json()] = outcome
            tell(f"{candidate.size[0]} operators, {candidate.size[1]} values: fails the same way")
        return same

    if not fails(recipe):
        raise UserError(
            f"{answer.places[0][0]} is right with other values of the same kind; it takes the model's own, "
            f"as in the case {at_span.case.id}"
        )
    minimizer = Minimizer(fails)
    smallest = minimizer.run(recipe)
    return smallest, found[smallest.model_dump_json()], minimizer.tried


def _written(job: Job) -> str:
    """In a child that has the model: the recipe of the span that a case names, as JSON."""
    from conformance.localize.recipes import recipe
    from conformance.running.pipeline import cut_of

    cut = cut_of(job.case, job.system, parse_span(str(job.case.layer)), job.weights)
    return recipe(cut).model_dump_json()


def reproduce(answer: Answer, job: Job, worker: Worker, tell: Tell) -> Reproduction:
    """A script that shows what is to blame. Raises UserError where there can be none."""
    recipe, outcome, tried = minimized(answer, job, worker, tell)
    target = _STANDS_FOR.get(job.case.column.target, job.case.column.target)
    title, frozen = _title(answer, job.case, outcome), FROZEN_FALLBACK.id in outcome.defects
    dtype = job.case.subject.dtype
    text = script(recipe, target, dtype, title, _allowed(outcome, dtype), frozen and target == "xla", worker.threads)
    shown = None
    if runs_alone(target) and target == job.case.column.target:
        tell(f"running the script {RUNS} times")
        with ThreadPoolExecutor(min(RUNS, os.cpu_count() or 1)) as pool:
            shown = sum(pool.map(lambda _: _shows(text, outcome), range(RUNS)))
    with_each = _with_workarounds(answer, small_job(job, recipe), worker)
    return Reproduction(answer.places[0], recipe, text, outcome, shown, tried, with_each)


def _with_workarounds(answer: Answer, job: Job, worker: Worker) -> dict[str, str]:
    """What comes of a program with each workaround of the known defects."""
    names = dict.fromkeys(name for one in answer.defects if one in DEFECTS for name in DEFECTS[one].workarounds)
    found = {}
    for name in names:
        column = replace(job.case.column, workarounds=(name,))
        one = replace(job, case=replace(job.case, column=column))
        outcome = worker.run(one, worker.variables(one))
        found[name] = "right" if outcome.status is Status.PASS else outcome.status.value
    return found


def small_job(job: Job, recipe: Recipe) -> Job:
    """A recipe in the place of a case's model."""
    case = Case(subject_of(recipe, job.case.subject.dtype), job.case.column)
    return replace(job, case=case, system=SYSTEM, weights=None, pictures=None)


def _title(answer: Answer, case: Case, outcome: Outcome) -> str:
    names = " and ".join(dict.fromkeys(place.target for place in answer.places[0]))
    versions = ", ".join(f"{name} {version}" for name, version in outcome.environment.items())
    on = f"{case.column.target}{f' ({versions})' if versions else ''}"
    return f"{names} of {case.subject.model} is {outcome.status.value} on {on}; exit code 1 where it is."


def _allowed(outcome: Outcome, dtype: str) -> float:
    """The relative L2 error that the verdict has allowed, at least a few roundings."""
    ratio = limit(dtype).isolated
    images = [image for group in outcome.groups.values() for image in group.per_image if image.bad]
    allowed = (ratio * image.rel_l2 / image.noise_ratio for image in images if image.measure == "L2")
    return max((one for one in allowed if isfinite(one)), default=ratio * limit(dtype).floor)


def _images(outcome: Outcome) -> str | tuple[int, ...]:
    """Which images are wrong, so that it can be said of another number of them."""
    bad, count = outcome.bad_images, max((len(group.per_image) for group in outcome.groups.values()), default=0)
    if len(bad) == count:
        return "all"
    return "all but the first" if bad == tuple(range(1, count)) else bad


def _first_call(outcome: Outcome) -> int | None:
    """The first call that is not right: a program that is right with the first images is no smaller one."""
    return next(
        (check.call for check in outcome.checks if check.call and check.decided and check.status is not Status.PASS),
        None,
    )


def _shows(text: str, outcome: Outcome) -> bool:
    """Whether a run of the script, in a process of its own, ends as the program did: with other numbers or
    shapes than are expected, or with the same signature."""
    with tempfile.TemporaryDirectory(prefix="conformance-") as folder:
        path = Path(folder) / "reproduce.py"
        path.write_text(text, encoding="utf-8")
        try:
            done = subprocess.run(
                [sys.executable, str(path)], cwd=folder, capture_output=True, text=True, timeout=_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            return outcome.status is Status.TIMEOUT
    if outcome.status in (*NUMBERS, Status.MISMATCH):
        return done.returncode == 1 and "expected" in done.stdout
    if outcome.status is Status.CRASH:
        return exit_cause(done.returncode) == outcome.signature
    return done.returncode != 0 and str(outcome.signature) in done.stderr
