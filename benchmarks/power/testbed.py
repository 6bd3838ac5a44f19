"""A model that is right, ready to have faults planted in it: its graph, its answers, what is found in its images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.fx import GraphModule

from benchmarks.power.calls import Program, alike, run
from benchmarks.power.gates import OURS, Given, flagged
from benchmarks.power.sites import Site, fed_nodes, find_sites
from benchmarks.power.systems import Entry, reference_model, scratch_cache
from conformance.cases.outcome import Outcome
from conformance.core.errors import UserError
from conformance.detections.matching import SLACK, differs, kept
from conformance.detections.postprocess import Detections, from_cells, from_rows
from conformance.golden.baseline import baseline_runs
from conformance.golden.reference import cast
from conformance.running.comparison import Comparison
from conformance.running.judgement import RunOutputs, judge

CONFIDENCE = 0.25  # a detection of less than this is none that a user sees
# Batches beside the one that is compared; the first is the one a program is compiled for.
BATCHES = 8
_READ: dict[str, Callable[[Tensor, float], list[Detections]]] = {"cells": from_cells, "rows": from_rows}


@dataclass(frozen=True, eq=False)
class IsolatedLayer:
    """The product's own comparison of a layer, its graph, and the names there of the nodes of the model's layer."""

    comparison: Comparison
    healthy: GraphModule
    names: Mapping[str, str]


def make_isolated_layer(comparison: Comparison, sites: Sequence[Site]) -> IsolatedLayer:
    """Of the model's sites. Both graphs are exports of one module, so that its operators are in one order in both;
    what the model does to the layer's output, and counts as the layer's, comes after them."""
    path, healthy = comparison.layers[0].path, comparison.program.exported.module()
    assert isinstance(healthy, GraphModule)
    names = {}
    inside = [site for site in sites if f"{site.layer}.".startswith(f"{path}.")]
    for (node, _), site in zip(fed_nodes(healthy.graph), inside, strict=False):
        assert node.target == site.node.target, f"{node} of {path} alone is not {site.node} of the model"
        node.meta["layer"] = site.layer
        names[site.node.name] = node.name
    return IsolatedLayer(comparison, healthy, names)


@dataclass(frozen=True, eq=False)
class Testbed:
    """`comparison` is the product's own, `healthy` the graph of its tapped program, `alone` its layers by path,
    `answer` what the graph gives for the images that are compared, `answers` for the other `batches`, of which the
    first is the one that programs are compiled for, and `found` the detections in these: for each batch those of the
    graph and of every other valid run, image by image."""

    entry: Entry
    dtype: str
    comparison: Comparison
    baseline: tuple[Tensor, ...]
    healthy: GraphModule
    sites: tuple[Site, ...]
    alone: Mapping[str, IsolatedLayer]
    answer: tuple[Tensor, ...]
    batches: tuple[tuple[Tensor, ...], ...]
    answers: tuple[tuple[Tensor, ...], ...]
    found: tuple[list[list[Detections]], ...] | None
    unsure: str | None

    def detected(self, batch: int, outputs: Sequence[Tensor]) -> tuple[bool, int, int]:
        """Whether a program's outputs for one of the batches have lost or made up a detection; how many there are,
        and how many of these are still there."""
        assert self.found is not None
        images = list(zip(zip(*self.found[batch], strict=True), read(self.entry, outputs), strict=True))
        there = [kept(*image, CONFIDENCE) for image in images]
        changed = any(differs(*image, CONFIDENCE) for image in images)
        return changed, sum(map(len, there)), sum(int(still.sum()) for still in there)

    def run(self, program: Program, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """What a graph gives at the dtype of the testbed."""
        return run(program, inputs, self.dtype)

    @property
    def other_answer(self) -> tuple[Tensor, ...]:
        """What the graph gives for the images that programs are compiled for."""
        return self.answers[0]

    def given(self, answers: RunOutputs, alone: Callable[[], Sequence[Outcome]] = tuple) -> Given:
        """What the gates are shown."""
        return Given(self.comparison, answers, self.baseline, self.dtype, alone, self.unsure)


@torch.no_grad()
def make_testbed(entry: Entry, dtype: str) -> Testbed:
    """The testbed of a model at a dtype. Raises UserError where the unchanged graph is not right by our verdict."""
    system, model, subject = entry.load(), entry.build(), entry.subject(dtype)
    with scratch_cache():
        made = reference_model(entry, model, subject)
        comparison = made.comparison(None, ())
        unsure = made.unsure(made.conditioning([dtype]))
    healthy = (comparison.tapped or comparison.program).exported.module()
    assert isinstance(healthy, GraphModule)
    answer = run(healthy, comparison.compared.inputs, dtype)
    batches = tuple(
        tuple(cast(x, made.dtype) for x in system.inputs(subject, index)) for index in range(1, 1 + BATCHES)
    )
    answers = tuple(run(healthy, batch, dtype)[: comparison.output_count] for batch in batches)
    module, found = comparison.program.module, None
    if entry.detector:
        pairs = zip(batches, answers, strict=True)
        runs = ([outputs, *dict(baseline_runs(module, batch, dtype)).values()] for batch, outputs in pairs)
        found = tuple([read(entry, outputs) for outputs in valid] for valid in runs)
    baseline, sites = run(module, comparison.compared.inputs, dtype), tuple(find_sites(healthy, comparison))
    alone = {path: make_isolated_layer(made.comparison(path, ()), sites) for path in model.layers}
    testbed = Testbed(
        entry, dtype, comparison, baseline, healthy, sites, alone, answer, batches, answers, found, unsure
    )
    if OURS in flagged(
        testbed.given(alike(comparison, answer, answers[0]), lambda: [_alone(one, dtype) for one in alone.values()])
    ):
        raise UserError(f"{entry.name} in {dtype}: the graph without a fault is not right, so no fault can be judged")
    return testbed


def _alone(one: IsolatedLayer, dtype: str) -> Outcome:
    """What is found of a layer without a fault."""
    shown = (one.comparison.compared.inputs, one.comparison.others.inputs)
    return judge(one.comparison, alike(one.comparison, *(run(one.healthy, inputs, dtype) for inputs in shown)), dtype)


def read(entry: Entry, outputs: Sequence[Tensor]) -> list[Detections]:
    """The detections of each image."""
    assert entry.detector is not None
    return _READ[entry.detector](outputs[0], CONFIDENCE - SLACK)
