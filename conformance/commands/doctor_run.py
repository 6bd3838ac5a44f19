"""`conformance doctor --run`: the first hour of a person with a Neuron host, as one command."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from importlib.metadata import distributions
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

from rich.console import Console
from rich.text import Text

from conformance.cases.case import Case, Column, Subject
from conformance.cases.outcome import Outcome, Status
from conformance.core.errors import UserError
from conformance.core.store import cache_folder
from conformance.host.cores import host_cores
from conformance.running.child import Job
from conformance.running.worker import Worker
from conformance.targets.loading import load_target
from conformance.targets.protocol import Target

_SUBJECT = Subject("toydet", "98k", "detect", 1, 64, 64, "float32")
_OURS = ("neuron", "neuron-native")
_RIGHT = (Status.PASS, Status.NOT_RUN)
_START = "start, reference and the rest"
_LONGEST = 900.0  # seconds of a case
_SLOW_RELEASE = 5.0  # seconds
ENOUGH = 20 * 2**30  # bytes of disk that a compiler and its caches want


@dataclass(frozen=True)
class Step:
    """One thing that was tried: what this host does, and what to change where that is not what it should do."""

    name: str
    said: str
    right: bool = True
    advice: str | None = None
    outcomes: tuple[Outcome, ...] = ()
    start: float = 0.0  # seconds until it could be compiled, and all else


def chosen_target(name: str | None) -> str:
    """The target that is tried: the one that is named, or that of this host's NeuronCores. Raises UserError where it
    cannot be used."""
    for one in (name,) if name else _OURS:
        missing = load_target(one).missing()
        if missing is None:
            return one
        if name:
            raise UserError(missing)
    raise UserError(f"neither {' nor '.join(_OURS)} can be used here; --target openvino tries a compiler for the CPU")


def first_hour(name: str) -> Iterator[Step]:
    """Try a small model on a target: once, again, twice at once, killed and at once again, compiled only."""
    target = load_target(name)
    yield _room()
    with closing(Worker(threads=1, timeout=_LONGEST)) as worker:
        yield (first := _tried("first run", worker, target))
        yield _tried("the same again", worker, target)
        yield _twice(worker, target)
        worker.kill()
        yield _after_a_kill(_tried("killed, and at once again", worker, target), first)
        if "compile-only" in target.settings:
            yield _tried("compile only", worker, target, "compile-only")


def _room() -> Step:
    """Logical cores, and room for what is compiled."""
    folder = next(path for path in (cache_folder(), *cache_folder().parents) if path.exists())
    free, cores = shutil.disk_usage(folder).free, host_cores()
    said = f"{len(cores.indices)} NeuronCores visible, LNC {cores.lnc}; " if cores.indices else ""
    few = free < ENOUGH
    advice = "give the root volume 100 GB, or set CONFORMANCE_CACHE to a larger one" if few else None
    return Step("room", f"{said}{free / 2**30:.0f} GiB free for {cache_folder()}", not few, advice)


def _tried(title: str, worker: Worker, target: Target, *settings: str) -> Step:
    """What came of the case, and where the time went."""
    column = Column(target.name, target.default_hardware[0], next(iter(target.sdks), None), settings)
    case, start = Case(_SUBJECT, column), time.monotonic()
    try:
        found = worker.run(Job(case, _SUBJECT.system, target.name), worker.leases.process(target, column))
    except UserError as error:
        return Step(title, f"cannot be run: {error}", right=False)
    spent = found.seconds
    start = time.monotonic() - start - (spent.compile or 0) - (spent.run or 0)
    parts = {"compile": spent.compile, "one call": spent.run, _START: start}
    times = ", ".join(f"{what} {part:.2g} s" for what, part in parts.items() if part is not None)
    right = found.status in _RIGHT
    advice = None if right else f"kept: {found.evidence}" if found.evidence else found.detail
    return Step(title, f"{found.summary} ({times})", right, advice, (found,), start)


def _twice(worker: Worker, target: Target) -> Step:
    """The same in two processes at once."""
    title = "twice at once"
    if target.cores(()) and len(host_cores().indices) < 2:
        return Step(title, "this host shows one NeuronCore", advice="run the suite with -n 1")
    with closing(Worker(threads=1, timeout=_LONGEST)) as other, ThreadPoolExecutor(2) as pool:
        both = [task.result() for task in [pool.submit(_tried, title, one, target) for one in (worker, other)]]
    if (wrong := next((step for step in both if not step.right), None)) is not None:
        return replace(wrong, advice="run the suite with -n 1")
    outcomes = tuple(outcome for step in both for outcome in step.outcomes)
    return Step(title, "both right: as many workers (-n) as there are cores", outcomes=outcomes)


def _after_a_kill(step: Step, first: Step) -> Step:
    """The step, with how long the core of the process that was killed was busy."""
    if not step.right or (waited := step.start - first.start) < _SLOW_RELEASE:
        return step
    said = f"{step.said}, {waited:.0f} s of it waiting for the core"
    return replace(
        step, said=said, advice="a core stays busy after its process: the suite waits for it, up to a minute"
    )


def show(name: str, facts: Callable[[], str], console: Console) -> int:
    """Try a target, say what this host does step by step, and write the bundle into this folder. Returns the exit
    code: 1 where something is not as it should be."""
    console.print(Text(f"{_SUBJECT.model} on {name}, a step a line; the first may take minutes", "bold"))
    steps = []
    for step in first_hour(name):
        steps.append(step)
        mark = Text("  ✓ ", "green") if step.right else Text("  ✗ ", "bold red")
        console.print(mark.append(f"{step.name:27}", "default").append(step.said, "default"), soft_wrap=True)
        if step.advice:
            console.print(Text(f"    {step.advice}", "yellow"), soft_wrap=True)
    path = bundle(Path(), facts(), steps)
    console.print(f"for a bug report: {path}", soft_wrap=True)
    return 0 if all(step.right for step in steps) else 1


def bundle(folder: Path, facts: str, steps: list[Step]) -> Path:
    """A zip of all that a bug report needs: what this host is (`facts`, JSON), what was tried, versions, and what is
    kept of failed compiles. Written into a folder."""
    now = datetime.now(timezone.utc)
    path = folder / f"conformance-bundle-{now:%Y%m%dT%H%M%S}.zip"
    packages = sorted(f"{one.metadata['Name']}=={one.version}" for one in distributions())
    with ZipFile(path, "w", ZIP_DEFLATED) as file:
        file.writestr("doctor.json", facts)
        file.writestr("run.json", json.dumps([_plain(step) for step in steps], indent=1))
        file.writestr("packages.txt", "\n".join(packages))
        for kept in {outcome.evidence for step in steps for outcome in step.outcomes if outcome.evidence}:
            for one in Path(kept).rglob("*"):
                if one.is_file():
                    file.write(one, Path("failures", Path(kept).name, one.relative_to(kept)))
    return path


def _plain(step: Step) -> dict[str, object]:
    found = [json.loads(outcome.model_dump_json(exclude_defaults=True)) for outcome in step.outcomes]
    return {**asdict(step), "outcomes": found}
