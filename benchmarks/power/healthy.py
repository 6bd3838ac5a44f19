"""Models that are right, as independent compilers make them: what a gate flags here is a false alarm."""

from __future__ import annotations

from dataclasses import replace

import torch

from benchmarks.power.bed import run
from benchmarks.power.findings import Cell
from benchmarks.power.gates import Given, flagged
from benchmarks.power.systems import Entry, scratch_cache, subject
from conformance.registry import load_target
from conformance.running.judgement import Answers
from conformance.running.subject import Trial
from conformance.targets.protocol import Compiled, Options

_WORKAROUNDS = ("contiguous",)  # OpenVINO is not healthy without it in bfloat16: openvino-strided-constants
Programs = tuple[Compiled, Compiled | None]


def cells(entry: Entry, dtype: str, shape: tuple[int, int, int], targets: tuple[str, ...], count: int) -> list[Cell]:
    """The cells of a model at one shape: `count` batches of images through the programs of each target, each
    compiled once, for the first of them."""
    model, found = entry.build(), []
    programs: dict[str, Programs | str] = {}
    for batch in range(count):
        first = 2 * batch  # every batch has others of its own to be called with in between
        with scratch_cache(), torch.no_grad():
            trial = subject(entry, model, entry.case(dtype, shape), first).trial(None, _WORKAROUNDS)
            for target in targets:
                if target not in programs:
                    programs[target] = _compiled(target, trial, dtype)
                found.append(_cell(Cell(entry.name, dtype, target, shape, first), programs[target], trial))
    return [cell for cell in found if cell.error is None or cell.images == 0]  # an error is one, not one a batch


def _compiled(target: str, trial: Trial, dtype: str) -> Programs | str:
    """The programs with and without taps; what the target said where it did not compile them."""
    options = Options("cpu", None, dtype, (), lambda stage: None)
    try:
        plain = load_target(target).compile(trial.program, options)
        return plain, load_target(target).compile(trial.tapped, options) if trial.tapped is not None else None
    except Exception as error:  # of the target's, of any kind
        return _said(error)


def _cell(cell: Cell, programs: Programs | str, trial: Trial) -> Cell:
    if isinstance(programs, str):
        return replace(cell, error=programs)
    try:
        answers = _answers(programs, trial)
    except Exception as error:  # of the target's, of any kind
        return replace(cell, error=_said(error))
    given = Given(trial, answers, run(trial.program.module, trial.inputs, cell.dtype), cell.dtype)
    return replace(cell, flagged=flagged(given), ratio=given.ratio)


def _answers(programs: Programs, trial: Trial) -> Answers:
    """As the product asks: the images, others, the images again; and once with the layers tapped."""
    plain, tapped = programs
    first = run(plain, trial.inputs)
    run(plain, trial.others)
    again = run(plain, trial.inputs)
    return Answers(first, again, run(tapped, trial.inputs) if tapped is not None else None)


def _said(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
