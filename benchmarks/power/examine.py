"""One fault: run it, show it to the gates, and see what it does to detections."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.fx import GraphModule

from benchmarks.power.bed import Bed, once
from benchmarks.power.findings import Finding
from benchmarks.power.gates import flagged
from benchmarks.power.mutants import Mutant
from conformance.running.judgement import Answers


def examine(bed: Bed, mutant: Mutant) -> Finding:
    """What came of a mutant."""
    program = mutant.program(bed.healthy)
    answers = _answers(bed, mutant, program)
    given = bed.given(answers)
    healthy = bed.answer[: bed.trial.output_count]
    seen = not (same(answers.first, healthy) and same(answers.again, healthy))
    differs, changes_detections = _elsewhere(bed, mutant, program, seen)
    return Finding(
        system=bed.entry.name,
        dtype=bed.dtype,
        kind=mutant.kind.name,
        site=mutant.site,
        layer=mutant.layer,
        detail=mutant.detail,
        caught=flagged(given) if differs else (),
        changes_detections=changes_detections,
        ratio=given.ratio,
        benign=not differs,
        hidden=differs and not seen,
        apart=mutant.kind.warmed_with_same,
    )


def same(outputs: Sequence[Tensor], others: Sequence[Tensor]) -> bool:
    """Whether they are equal to the last bit; a NaN equals nothing."""
    return all(torch.equal(*pair) for pair in zip(outputs, others, strict=True))


def _answers(bed: Bed, mutant: Mutant, program: GraphModule) -> Answers:
    """As the product asks: the images, others, the images again; and once through the tapped program.

    A program that keeps nothing gives the same at every call, and the tapped one, which is the same graph, gives it
    too: it is called once. One that does keep something was warmed like any other when it was compiled.
    """
    trial = bed.trial
    if not mutant.kind.keeps:
        return once(trial, bed.run(program, trial.inputs))
    warm = trial.inputs if mutant.kind.warmed_with_same else trial.others
    tapped = _warmed(bed, mutant, warm)
    bed.run(program, warm)
    count = trial.output_count
    first = bed.run(program, trial.inputs)[:count]
    bed.run(program, trial.others)
    again = bed.run(program, trial.inputs)[:count]
    return Answers(first, again, bed.run(tapped, trial.inputs) if trial.tapped is not None else None)


def _warmed(bed: Bed, mutant: Mutant, inputs: tuple[Tensor, ...]) -> GraphModule:
    program = mutant.program(bed.healthy)
    bed.run(program, inputs)
    return program


def _elsewhere(bed: Bed, mutant: Mutant, program: GraphModule, differs: bool) -> tuple[bool, bool | None]:
    """Whether anything differs, there or in the other batches, and whether a detection does in these.

    They are run until both are known.
    """
    if mutant.kind.keeps:
        bed.run(program, bed.batches[-1])
    detects = bed.found is not None
    for batch, inputs in enumerate(bed.batches):
        if differs and not detects:
            break
        outputs = bed.run(program, inputs)[: bed.trial.output_count]
        differs = differs or not same(outputs, bed.answers[batch])
        if detects and bed.changed(batch, outputs):
            return True, True
    return differs, False if detects else None
