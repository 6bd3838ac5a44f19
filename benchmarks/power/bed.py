"""A model that is right, ready to have faults planted in it: its graph, its answers, what is found in its images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.fx import GraphModule

from benchmarks.power.gates import OURS, Given, flagged
from benchmarks.power.sites import Site, find_sites
from benchmarks.power.systems import Entry, scratch_cache, subject
from conformance.autocast import auto_cast
from conformance.cases.errors import UserError
from conformance.detections.matching import SLACK, count_images
from conformance.detections.postprocess import Detections, from_cells, from_rows
from conformance.golden.reference import cast
from conformance.running.judgement import Answers
from conformance.running.subject import Trial

# A detection of less than this is none that a user sees.
CONFIDENCE = 0.25
# Batches beside the one that is compared; the first is the one a program is compiled for.
BATCHES = 8
Program = Callable[..., tuple[Tensor, ...]]
_READ: dict[str, Callable[[Tensor, float], list[Detections]]] = {"cells": from_cells, "rows": from_rows}


@dataclass(frozen=True, eq=False)
class Bed:
    """`trial` is the product's own, `healthy` the graph of its tapped program, `answer` what that gives for the
    images that are compared, `answers` for the other `batches`, and `found` the detections in these."""

    entry: Entry
    dtype: str
    trial: Trial
    twin: tuple[Tensor, ...]
    healthy: GraphModule
    sites: tuple[Site, ...]
    answer: tuple[Tensor, ...]
    batches: tuple[tuple[Tensor, ...], ...]
    answers: tuple[tuple[Tensor, ...], ...]
    found: tuple[list[Detections], ...] | None

    def changed(self, batch: int, outputs: Sequence[Tensor]) -> bool:
        """Whether a program's outputs for one of the batches have lost or made up a detection."""
        assert self.found is not None
        given = read(self.entry, outputs)
        return any(count.lost or count.spurious for count in count_images(self.found[batch], given, CONFIDENCE))

    def run(self, program: Program, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """What a graph gives at the dtype of the bed."""
        return run(program, inputs, self.dtype)

    def given(self, answers: Answers) -> Given:
        """What the gates are shown."""
        return Given(self.trial, answers, self.twin, self.dtype)


@torch.no_grad()
def make_bed(entry: Entry, dtype: str) -> Bed:
    """The bed of a model at a dtype. Raises UserError where the unchanged graph is not right by our own verdict."""
    system, model, case = entry.load(), entry.build(), entry.case(dtype)
    with scratch_cache():
        made = subject(entry, model, case)
        trial = made.trial(None, ())
    healthy = (trial.tapped or trial.program).exported.module()
    assert isinstance(healthy, GraphModule)
    answer = run(healthy, trial.inputs, dtype)
    batches = tuple(tuple(cast(x, made.dtype) for x in system.inputs(case, index)) for index in range(1, 1 + BATCHES))
    answers = tuple(run(healthy, batch, dtype)[: trial.output_count] for batch in batches)
    found = tuple(read(entry, outputs) for outputs in answers) if entry.detector else None
    twin, sites = run(trial.program.module, trial.inputs, dtype), tuple(find_sites(healthy, trial))
    bed = Bed(entry, dtype, trial, twin, healthy, sites, answer, batches, answers, found)
    if OURS in flagged(bed.given(once(bed.trial, answer))):
        raise UserError(f"{entry.name} in {dtype}: the graph without a fault is not right, so no fault can be judged")
    return bed


def run(program: Program, inputs: tuple[Tensor, ...], dtype: str = "float32") -> tuple[Tensor, ...]:
    """What a program gives, kept: it may write into what it is given, or give its own buffer again.

    A graph that torch runs is cast on the way, where the dtype asks for that; a compiled program casts itself.
    """
    with torch.no_grad(), auto_cast(dtype):
        return tuple(output.detach().clone() for output in program(*(x.clone() for x in inputs)))


def once(trial: Trial, answer: tuple[Tensor, ...]) -> Answers:
    """The answers of a program that gives the same whenever it is called, from one call with all layers tapped."""
    outputs = answer[: trial.output_count]
    return Answers(outputs, outputs, answer if trial.tapped is not None else None)


def read(entry: Entry, outputs: Sequence[Tensor]) -> list[Detections]:
    """The detections of each image."""
    assert entry.detector is not None
    return _READ[entry.detector](outputs[0], CONFIDENCE - SLACK)
