"""Models that are right, as independent compilers make them: what a gate flags here is a false alarm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch

from benchmarks.power.calls import Program, ask, run
from benchmarks.power.findings import Cell
from benchmarks.power.gates import Given, flagged
from benchmarks.power.systems import Entry, reference_model, scratch_cache
from conformance.cases.case import Column
from conformance.cases.outcome import Outcome
from conformance.running.comparison import Comparison, ReferenceModel
from conformance.running.judgement import judge
from conformance.targets.loading import load_target
from conformance.targets.protocol import Options

_WORKAROUNDS = ("contiguous",)  # OpenVINO is not healthy without it in bfloat16: openvino-strided-constants
_SLOW = ("inductor",)  # a minute a model, and some seconds for each layer alone: those are left out


@dataclass(frozen=True)
class Programs:
    """What a target made of a model, plain and tapped, and of its layers alone, by path."""

    plain: Program
    tapped: Program | None
    alone: Mapping[str, Program]


def cells(entry: Entry, dtype: str, shape: tuple[int, int, int], targets: tuple[str, ...], count: int) -> list[Cell]:
    """The cells of a model at one shape: `count` batches of images through the programs of each target, each
    compiled once, for the first of them."""
    model, found = entry.build(), []
    programs: dict[str, Programs | str] = {}
    for batch in range(count):
        first = 2 * batch  # every batch has others of its own to be called with in between
        with scratch_cache(), torch.no_grad():
            made = reference_model(entry, model, entry.subject(dtype, shape), first)
            for target in targets:
                if target not in programs:
                    programs[target] = _compiled(target, made)
                found.append(_cell(Cell(entry.name, dtype, target, shape, first), programs[target], made))
    return [cell for cell in found if cell.error is None or cell.images == 0]  # an error is one, not one a batch


def _comparison(made: ReferenceModel, layer: str | None = None) -> Comparison:
    return made.comparison(layer, _WORKAROUNDS)


def _compiled(target: str, made: ReferenceModel) -> Programs | str:
    """What the target said where it did not compile them."""
    options = Options(Column(target), made.precision, lambda stage: None)
    layers = () if target in _SLOW else made.model.layers
    compiler, whole = load_target(target), _comparison(made)
    try:
        plain = compiler.compile(whole.program, options)
        tapped = compiler.compile(whole.tapped, options) if whole.tapped is not None else None
        alone = {path: compiler.compile(_comparison(made, path).program, options) for path in layers}
    except Exception as error:  # noqa: BLE001 (of the target's, of any kind)
        return _said(error)
    return Programs(plain, tapped, alone)


def _cell(cell: Cell, programs: Programs | str, made: ReferenceModel) -> Cell:
    if isinstance(programs, str):
        return replace(cell, error=programs)
    comparison, dtype = _comparison(made), made.precision
    try:
        answers = ask(comparison, programs.plain, programs.tapped)
        layers = [_alone(_comparison(made, path), program, dtype) for path, program in programs.alone.items()]
    except Exception as error:  # noqa: BLE001 (of the target's, of any kind)
        return replace(cell, error=_said(error))
    baseline, unsure = (
        run(comparison.program.module, comparison.compared.inputs, dtype),
        made.unsure(made.conditioning([dtype])),
    )
    given = Given(comparison, answers, baseline, dtype, lambda: layers, unsure)
    return replace(cell, flagged=flagged(given), ratio=given.ratio, ratio_alone=given.ratio_alone)


def _alone(comparison: Comparison, program: Program, dtype: str) -> Outcome:
    return judge(comparison, ask(comparison, program, None), dtype)


def _said(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
