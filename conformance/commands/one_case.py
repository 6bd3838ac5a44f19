"""The one case that a command is about: by its id, from its record, or by a model and options."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from inspect import Signature, signature
from pathlib import Path
from typing import Annotated, Any, Concatenate, ParamSpec

import typer
from rich.console import Console

from conformance.cases import options
from conformance.cases.case import CaseId, parse_id
from conformance.cases.outcome import Record
from conformance.checking.case_runner import CaseRunner
from conformance.checking.check import Tell, prepared
from conformance.commands.arguments import (
    RECORDS,
    Batch,
    Calibrate,
    CaseTimeout,
    Dtype,
    Hardware,
    Images,
    Records,
    Resolution,
    Sdk,
    Sets,
    Settings,
    Target,
    Weights,
    chosen_of,
)
from conformance.commands.progress import progress
from conformance.core.errors import UserError
from conformance.results.records import RecordWriter, latest, read_if_any, records_file
from conformance.running.child import Job
from conformance.running.worker import Worker
from conformance.selection.expand import Chosen
from conformance.selection.model import ModelRequest, Named, best_target, find_model

P = ParamSpec("P")


@dataclass(frozen=True)
class OneCase:
    """A request of one case, and its record, where there is one that failed."""

    request: ModelRequest
    record: Record | None = None


def chosen_case(
    text: str,
    records: Path,
    targets: Sequence[str] | None,
    chosen: Chosen,
    images: str | None,
    calibrate: bool | None,
    around: bool = False,
) -> OneCase:
    """A case by its id, or by its model and options; by both where those `around` it are asked for. Raises
    UserError."""
    if "@" not in text:
        model = find_model(text, pictures=images, calibrate=calibrate)
        return OneCase(ModelRequest(model, targets or (best_target(),), chosen, pictures=images))
    if targets or images or calibrate is not None or (chosen != Chosen(named=True) and not around):
        raise UserError(f"{text} says all of a case: leave the options out")
    one = _by_id(text, records)
    given = {name: value for name, value in vars(chosen).items() if value is not None}
    return replace(one, request=replace(one.request, chosen=replace(one.request.chosen, **given)))


def _by_id(text: str, records: Path) -> OneCase:
    """A case by its id; the model of one that is no system's by what its record was run with. Raises UserError."""
    asked = parse_id(text)
    if asked.layer:
        raise UserError(f"{text!r} is one layer alone: name the case of the whole model")
    record = next((one for one in latest(read_if_any(records)) if one.id == text), None)
    words = shlex.split(record.command) if record is not None else []
    target = _option(words, "--target") or asked.column.target
    request = ModelRequest(
        _model(asked, words), (target,), _chosen(asked, words), pictures=_option(words, "--images")
    )
    return OneCase(request, record if record is not None and record.failed else None)


@dataclass(frozen=True)
class Opened:
    """A case, who runs it, and who is told what is done; `record` is what came of it earlier."""

    job: Job
    worker: Worker
    runner: CaseRunner
    tell: Tell
    record: Record | None

    @property
    def outcome(self) -> Record:
        """What came of it: earlier, or now."""
        if self.record is not None:
            return self.record
        self.tell(self.job.case.id)
        return self.runner.run(self.job.case)


@dataclass(frozen=True)
class Asked:
    """What a command that is about one case was given of it; see `of_one_case`."""

    case: str
    targets: Sequence[str] | None
    chosen: Chosen
    images: str | None
    calibrate: bool | None
    timeout: float
    records: Path

    @contextmanager
    def opened(self, screen: Console) -> Iterator[Opened]:
        """The case, built; the screen shows what is done. Raises UserError where there are several, or none."""
        one = chosen_case(self.case, self.records, self.targets, self.chosen, self.images, self.calibrate)
        with _runner(one.request, self.timeout, None, screen) as (runner, tell):
            models = runner.selection.models
            if len(models) != 1:
                some = ", ".join(case.id for case in models[:3])
                raise UserError(f"there are {len(models)} cases, {some}: name one target, hardware, size and dtype")
            yield Opened(runner.job(models[0]), runner.worker, runner, tell, one.record)

    @contextmanager
    def around(self, screen: Console, batches: Sequence[int]) -> Iterator[tuple[CaseRunner, Tell]]:
        """All cases asked for, each with a record; at these batches where nothing is said. Raises UserError."""
        one = chosen_case(self.case, self.records, self.targets, self.chosen, self.images, self.calibrate, True)
        chosen, writer = one.request.chosen, RecordWriter(records_file(self.records))
        if self.chosen == Chosen(named=True):
            chosen = replace(chosen, batches=list(batches))
        with _runner(replace(one.request, chosen=chosen), self.timeout, writer, screen) as found:
            yield found


@contextmanager
def _runner(
    request: ModelRequest, timeout: float, writer: RecordWriter | None, screen: Console
) -> Iterator[tuple[CaseRunner, Tell]]:
    worker = Worker(max(1, os.cpu_count() or 1), timeout)
    try:
        with progress(screen, worker) as tell:
            yield CaseRunner(prepared(request, worker, tell), worker, writer), tell
    finally:
        worker.close()


def of_one_case(command: Callable[Concatenate[Asked, P], None]) -> Callable[..., None]:
    """A command that is about one case: it takes the case, or the model, and what is asked of it, beside the options
    of its own."""
    taken = signature(_asked, eval_str=True).parameters
    _, *own = signature(command, eval_str=True).parameters.values()
    shown = [one for one in own if one.name == "as_json"]  # last, as everywhere
    order = [taken["case"], *(one for one in own if one not in shown), *list(taken.values())[1:], *shown]

    def main(**given: Any) -> None:
        asked = _asked(**{name: given.pop(name) for name in taken})
        command(asked, **given)  # type: ignore[call-arg]

    main.__doc__ = command.__doc__
    main.__signature__ = Signature(order)  # type: ignore[attr-defined]
    main.__annotations__ = {one.name: one.annotation for one in order}
    return main


def _asked(
    case: Annotated[str, typer.Argument(help="The id of a case, or a model as `conformance check` takes it.")],
    target: Target = None,
    batch: Batch = None,
    resolution: Resolution = None,
    dtype: Dtype = None,
    images: Images = None,
    calibrate: Calibrate = None,
    weights: Weights = None,
    hardware: Hardware = None,
    sdk: Sdk = None,
    settings: Settings = None,
    workarounds: Sets = None,
    case_timeout: CaseTimeout = 900,
    records: Records = RECORDS,
) -> Asked:
    options.seconds("--case-timeout", case_timeout)
    options.folder("--records", records, written=True)
    options.given("--images", images)
    chosen = chosen_of(batch, resolution, dtype, hardware, sdk, settings, workarounds, weights)
    return Asked(case, options.names("--target", target), chosen, images, calibrate, case_timeout, records)


def _model(asked: CaseId, words: Sequence[str]) -> Named:
    depth, groups = _option(words, "--depth"), _option(words, "--groups")
    calibrate = True if "--calibrate" in words else False if "--no-calibrate" in words else None
    return find_model(
        _option(words, "--model") or asked.model,
        layers=tuple(options.names("--layers", _option(words, "--layers")) or ()),
        depth=int(depth) if depth else None,
        groups=options.groups("--groups", groups),
        calibrate=calibrate,
        pictures=_option(words, "--images"),
    )


def _chosen(asked: CaseId, words: Sequence[str]) -> Chosen:
    column, weights = asked.column, _option(words, "--weights") or asked.weights
    return Chosen(
        named=True,
        batches=[asked.batch] if asked.height else None,  # else it brings its own inputs
        resolutions=[f"{asked.height}x{asked.width}"] if asked.height else None,
        dtypes=[asked.dtype],
        hardware=[column.hardware],
        sdks=[column.sdk] if column.sdk else None,
        settings=[column.settings] if column.settings else None,
        workarounds=[column.workarounds] if column.workarounds else None,
        weights=[weights] if weights else None,
    )


def _option(words: Sequence[str], name: str) -> str | None:
    return words[words.index(name) + 1] if name in words else None
