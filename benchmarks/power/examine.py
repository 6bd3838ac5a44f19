"""One fault: run it, show it to the gates, and see what it does to detections."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from math import isnan

import torch
from torch import Tensor
from torch.fx import GraphModule

from benchmarks.power.calls import alike, ask, run
from benchmarks.power.faults import Kind
from benchmarks.power.findings import Finding
from benchmarks.power.gates import OURS, Given, flagged
from benchmarks.power.mutants import Mutant
from benchmarks.power.testbed import Testbed
from conformance.cases.outcome import Outcome
from conformance.running.comparison import Comparison
from conformance.running.judgement import RunOutputs, judge


def examine(testbed: Testbed, mutant: Mutant) -> Finding:
    """What came of a mutant."""
    fresh = partial(mutant.program, testbed.healthy)
    program = fresh()
    answers = _answers(testbed.comparison, mutant.kind, program, fresh, testbed.dtype)
    given = testbed.given(answers, lambda: _alone(testbed, mutant))
    healthy = testbed.answer[: testbed.comparison.output_count], testbed.other_answer
    seen = not all(same(call, healthy[number % 2]) for number, call in enumerate(answers.calls))
    differs, changes_detections, kept = _elsewhere(testbed, mutant, program, seen)
    caught = flagged(given) if differs else ()
    return Finding(
        system=testbed.entry.name,
        dtype=testbed.dtype,
        kind=mutant.kind.name,
        site=mutant.site,
        layer=mutant.layer,
        detail=mutant.detail,
        caught=caught,
        changes_detections=changes_detections,
        ratio=given.ratio,
        ratio_alone=given.ratio_alone if differs and OURS not in caught else 0.0,
        benign=not differs,
        hidden=differs and not seen,
        apart=mutant.kind.warmed_with_same,
        error=max(_error(given), key=lambda error: (isnan(error), error), default=0.0),
        kept=kept,
    )


def _error(given: Given) -> list[float]:
    """The relative errors of every group, in the call that is judged."""
    return [group.worst_error for group in given.outcome.groups.values()]


def same(outputs: Sequence[Tensor], others: Sequence[Tensor]) -> bool:
    """Whether they are equal to the last bit; a NaN equals nothing."""
    return all(torch.equal(*pair) for pair in zip(outputs, others, strict=True))


def _alone(testbed: Testbed, mutant: Mutant) -> tuple[Outcome, ...]:
    """What is found of the layer that the fault is in, compiled alone with the fault; nothing outside of layers."""
    one = testbed.alone.get(mutant.layer)
    if one is None or (node := one.names.get(mutant.node)) is None:
        return ()
    fresh = partial(mutant.program, one.healthy, node)
    answers = _answers(one.comparison, mutant.kind, fresh(), fresh, testbed.dtype)
    return (judge(one.comparison, answers, testbed.dtype),)


def _answers(
    comparison: Comparison, kind: Kind, program: GraphModule, fresh: Callable[[], GraphModule], dtype: str
) -> RunOutputs:
    """As the product asks. `fresh` gives the program without memory of any call.

    A program that keeps nothing gives the same whenever it is shown the same, and the tapped one, which is the same
    graph, gives it too. One that does keep something was warmed like any other when it was compiled.
    """
    shown = (comparison.compared.inputs, comparison.others.inputs)
    if not kind.keeps:
        return alike(comparison, *(run(program, inputs, dtype) for inputs in shown))
    tapped = fresh() if comparison.tapped is not None else None
    for one in filter(None, (program, tapped)):
        run(one, shown[0 if kind.warmed_with_same else 1], dtype)
    return ask(comparison, program, tapped, dtype)


def _elsewhere(
    testbed: Testbed, mutant: Mutant, program: GraphModule, differs: bool
) -> tuple[bool, bool | None, float | None]:
    """Whether anything differs, there or in the other batches; where the model detects, whether a detection does in
    these, and what share of them is kept."""
    if mutant.kind.keeps:
        testbed.run(program, testbed.batches[-1])
    detects, changes, wanted, still = testbed.found is not None, False, 0, 0
    for batch, inputs in enumerate(testbed.batches):
        if differs and not detects:
            break
        outputs = testbed.run(program, inputs)[: testbed.comparison.output_count]
        differs = differs or not same(outputs, testbed.answers[batch])
        if detects:
            changed, there, kept = testbed.detected(batch, outputs)
            changes, wanted, still = changes or changed, wanted + there, still + kept
    return differs, changes if detects else None, still / wanted if wanted else None
