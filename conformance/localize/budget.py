"""What share of a model's final error each of its layers causes: the reference's values are put in behind each layer,
and what error is left comes from what follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pydantic import BaseModel, ConfigDict

from conformance.cases.outcome import Outcome, Status
from conformance.cases.span import Operator, Span
from conformance.checking.check import Tell
from conformance.core.errors import UserError
from conformance.localize.localize import of_layer
from conformance.running.child import Job
from conformance.running.worker import Worker


class Row(BaseModel):
    """A layer: the error ratios of it in place and alone, the relative error of the output that is left when the
    reference's values are put in behind it, and the share of the squared error that it causes. None is what could
    not be found."""

    model_config = ConfigDict(frozen=True)

    layer: str
    type: str
    in_place: float | None
    alone: float | None
    left: float | None
    share: float | None
    bad: bool


class Budget(BaseModel):
    """The layers of a case in order; the output group that is furthest from the reference, and its relative error
    (L2, of the worst image)."""

    model_config = ConfigDict(frozen=True)

    case: str
    group: str
    error: float
    first_bad_layer: str | None
    rows: tuple[Row, ...]


def budget(job: Job, worker: Worker, whole: Outcome, alone: bool, tell: Tell) -> Budget:
    """The budget of a case that ran; with `alone` each layer is compiled by itself as well. Raises UserError for one
    without outputs or layers that were compared."""
    if not whole.groups or not whole.layers:
        raise UserError(f"{job.case.id} has no outputs and layers that were compared: there is no error to share out")
    variables = worker.variables(job)
    operators = worker.operators(job, variables)
    group, error = max(((name, _error(whole, name)) for name in whole.groups), key=lambda named: named[1])

    def run(layer: str) -> Outcome:
        tell(layer)
        return worker.run(replace(job, case=replace(job.case, layer=layer)), variables)

    rows: list[Row] = []
    before = error
    for figures in whole.layers:
        rest = _behind(operators, figures.path)
        left = _left(run(str(Span(rest))), group) if rest else 0.0 if rest == () else None
        own = run(figures.path) if alone else None
        share = None
        if left is not None and error > 0:
            share, before = max(0.0, before**2 - left**2) / error**2, min(before, left)
        rows.append(
            Row(
                layer=figures.path,
                type=figures.type,
                in_place=figures.noise_ratio,
                alone=own.worst_ratio if own else None,
                left=left,
                share=share,
                bad=figures.bad,
            )
        )
    return Budget(case=job.case.id, group=group, error=error, first_bad_layer=whole.first_bad_layer, rows=tuple(rows))


def _behind(operators: Sequence[Operator], path: str) -> tuple[int, ...] | None:
    """The operators behind a layer; None where it cannot be cut off there."""
    inside = of_layer(operators, path)
    if not inside:
        return None
    start = inside[-1] + 1
    if start < len(operators) and not operators[start].apart:
        return None
    return tuple(range(start, len(operators)))


def _left(outcome: Outcome, group: str) -> float | None:
    ran = outcome.status in (Status.PASS, Status.WRONG, Status.NONFINITE)
    return _error(outcome, group) if ran and group in outcome.groups else None


def _error(outcome: Outcome, group: str) -> float:
    return max(image.rel_l2 for image in outcome.groups[group].per_image)
