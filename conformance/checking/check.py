"""The engine behind `conformance check`, `conformance.check` and the fixture: one model, judged whole, its layers
alone where the whole cannot be judged, and what helps where it is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from conformance.cases.case import Case
from conformance.cases.options import CALLS
from conformance.cases.outcome import Record, Status
from conformance.checking.case_runner import CaseRunner
from conformance.checking.report import Report
from conformance.core.errors import ModelError, UserError
from conformance.defects.catalogue import DEFECTS
from conformance.defects.offering import options
from conformance.results.records import RecordWriter
from conformance.running.worker import Worker
from conformance.selection.model import (
    ModelRequest,
    best_target,
    check_request,
    described,
    layer_cases,
    select_model,
)
from conformance.selection.selection import Selection
from conformance.systems.loading import load_system
from conformance.targets.loading import load_target

Tell = Callable[[str], None]
_TRIES = 4  # sets of workarounds that are tried on a case that failed


def nobody(text: str) -> None:
    """Nobody is told."""


def check_model(
    request: ModelRequest,
    worker: Worker,
    writer: RecordWriter | None = None,
    calls: int = CALLS,
    tell: Tell = nobody,
) -> Report:
    """What becomes of a model; `tell` is told what is done before it is. Raises UserError for what cannot be asked
    for, or built."""
    selection = prepared(request, worker, tell)
    runner = CaseRunner(selection, worker, writer, calls)
    records = list(_run(runner, selection.models, tell))
    unsure = [record.case for record in records if record.status is Status.NOT_JUDGED]
    alone = dict.fromkeys([*selection.layers, *layer_cases(unsure, _layers(request, selection))])
    isolated = list(_run(runner, alone, tell))
    remedies = [tried for record in records if record.failed for tried in _remedies(runner, record, tell)]
    return Report(records[0].subject.model, tuple(records), tuple(isolated), tuple(remedies))


def prepared(request: ModelRequest, worker: Worker, tell: Tell = nobody, built: bool = False) -> Selection:
    """The cases of a model, which is built to know what it has, unless it was `built` before. Raises UserError."""
    targets = tuple(request.targets or (best_target(),))
    request = replace(request, targets=targets)
    if built or request.model.spec is None:
        return select_model(request)
    check_request(request)
    tell(f"building {request.model.variant}")
    variables = load_target(targets[0]).variables
    try:
        model = described(request.model, lambda system: worker.described(system, variables))
    except ModelError as error:
        raise UserError(f"{request.model.variant}: {error}") from None
    return select_model(replace(request, model=model))


def _layers(request: ModelRequest, selection: Selection) -> tuple[str, ...]:
    (system,) = map(load_system, selection.systems.values())
    return system.layers(request.model.variant, request.model.task)


def _run(runner: CaseRunner, cases: Iterable[Case], tell: Tell) -> Iterator[Record]:
    for case in cases:
        tell(case.id)
        yield runner.run(case)


def _remedies(runner: CaseRunner, record: Record, tell: Tell) -> Iterator[Record]:
    """A case that known defects explain, with their workarounds on: a set of each at a time, until it passes. Where
    others show behind them, theirs as well."""
    on = record.column.workarounds
    named = [options(DEFECTS[name], record.helping.get(name), on) for name in record.defects if name in DEFECTS]
    if not named or not all(named):
        return  # something is wrong that nothing helps
    turns = ([sets[turn % len(sets)] for sets in named] for turn in range(max(map(len, named))))
    sets = dict.fromkeys(tuple(dict.fromkeys(name for one in turn for name in one)) for turn in turns)
    for workarounds in list(sets)[:_TRIES]:
        column = replace(record.column, workarounds=(*on, *workarounds))
        (tried,) = _run(runner, [replace(record.case, column=column)], tell)
        yield tried
        if tried.failed and not set(tried.defects) <= set(record.defects):
            yield from _remedies(runner, tried, tell)
            return
        if tried.status is Status.PASS:
            return
