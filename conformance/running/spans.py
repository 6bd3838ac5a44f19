"""The comparison of a span: operators of a model's graph, compiled together, or as two programs in a row."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from conformance.cases.span import Span
from conformance.compare.metrics import OF_ALONE
from conformance.core.groups import Group
from conformance.golden.promoting import promoting
from conformance.golden.reference import cast
from conformance.golden.spans import Cut, Operators
from conformance.programs.program import Program
from conformance.running.comparison import Comparison, Images, Layer, ReferenceModel, apart
from conformance.running.pieces import Piece, Pieces

_KEPT = 16  # comparisons: which half of a half is wrong is asked again and again
_EXPLAINED = 16  # operators: a longer span is only on the way to what is to blame


def operators_of(reference_model: ReferenceModel, rewrites: tuple[str, ...]) -> Operators:
    """The operators of a model; they are looked at once."""
    found = reference_model.operators
    if rewrites not in found:
        program = reference_model.comparison(None, rewrites).program
        images = (reference_model.exact_inputs, reference_model.exact_others)
        found[rewrites] = Operators(program.exported, program.paths, images, reference_model.dtype)
    return found[rewrites]


def of_span(reference_model: ReferenceModel, span: Span, rewrites: tuple[str, ...]) -> Comparison:
    """What a span of a model is compared with; the last ones are kept. Raises UserError for operators that there are
    not."""
    kept, key = reference_model.spans, (str(span), rewrites)
    comparison = kept.pop(key, None) or _compared(reference_model, span, rewrites)
    for oldest in list(kept)[: len(kept) + 1 - _KEPT]:
        del kept[oldest]
    kept[key] = comparison
    return comparison


def _compared(reference_model: ReferenceModel, span: Span, rewrites: tuple[str, ...]) -> Comparison:
    whole = operators_of(reference_model, rewrites)
    cut = whole.cut(span.operators, span.shown)
    compared, others = (Images(inputs, _exact(cut, inputs)) for inputs in cut.inputs)
    outputs = whole.outputs
    groups = reference_model.groups if cut.gives == outputs else tuple(map(Group, cut.gives, range(len(cut.gives))))
    comparison = Comparison(
        program=Program(cut.module, others.inputs),
        tapped=None,
        compared=compared,
        others=others,
        batch=reference_model.batch,
        output_count=len(cut.gives),
        groups=groups,
        layers=(Layer(str(span), "span", tuple(range(len(cut.gives)))),),
        dtypes=tuple(x.dtype for x in reference_model.run(cut.module, others.inputs)),
        rows=tuple(cut.gives.index(outputs[row]) for row in reference_model.model.rows if outputs[row] in cut.gives),
        explained=len(span) <= _EXPLAINED,
        pieces=None if span.cut is None else _pieces(whole, span, span.cut, cut),
    )
    one, other = (
        replace(images, baseline=reference_model.baseline_errors(comparison, images, cut.module, OF_ALONE))
        for images in (compared, others)
    )
    comparison.compared = replace(one, apart=apart(comparison, one, other))
    comparison.others = replace(other, apart=apart(comparison, other, one))
    return comparison


def _pieces(whole: Operators, span: Span, cut: int, both: Cut) -> Pieces:
    halves = ([n for n in span.operators if n < cut], [n for n in span.operators if n >= cut])
    cuts = [whole.cut(half, span.shown) for half in halves]
    made = (Piece(Program(one.module, one.inputs[1]), one.takes, one.gives) for one in cuts)
    return Pieces(tuple(made), both.takes, both.gives)


@torch.no_grad()
def _exact(cut: Cut, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """What the operators give in float64 for these very inputs."""
    exact = copy.deepcopy(cut.module).double()
    with promoting():
        outputs: tuple[Tensor, ...] = exact(*(cast(x, torch.float64).clone() for x in inputs))
    return outputs
