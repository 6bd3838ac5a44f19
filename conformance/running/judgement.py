"""From a program's answers to an outcome: groups, layers, the first bad one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, isnan

from torch import Tensor

from conformance.cases.outcome import GroupFigures, LayerFigures, Outcome, Stage, Status
from conformance.compare.limits import Limit, limit
from conformance.compare.verdict import (
    as_layer,
    compare_group,
    finite,
    mismatch,
    published_gate,
)
from conformance.running.subject import Trial


@dataclass(frozen=True)
class Answers:
    """What the compiled programs gave: for the images, for them again after others, and with all layers tapped."""

    first: tuple[Tensor, ...]
    again: tuple[Tensor, ...]
    tapped: tuple[Tensor, ...] | None
    tapping_failed: str | None = None


def judge(trial: Trial, answers: Answers, dtype: str) -> Outcome:
    """The outcome of a program that ran."""
    limits = limit(dtype)
    pairs = [(answers.first, trial.outputs), (answers.again, trial.outputs)]
    if answers.tapped is not None:
        pairs.append((answers.tapped, trial.reference))
    for given, wanted in pairs:
        if difference := mismatch(given, wanted):
            return Outcome(stage=Stage.COMPARE, status=Status.MISMATCH, detail=difference)
    status, signature, groups = _verdict(trial, answers, limits)
    layers = _layers(trial, answers.tapped, groups, limits)
    return Outcome(
        stage=Stage.COMPARE,
        status=status,
        signature=signature,
        detail=answers.tapping_failed,
        groups=groups,
        layers=layers,
        first_bad_layer=next((layer.path for layer in layers if layer.bad), None),
        published_gate=published_gate(answers.first, trial.outputs) if trial.tapped else None,
    )


def _verdict(trial: Trial, answers: Answers, limits: Limit) -> tuple[Status, str | None, dict[str, GroupFigures]]:
    """Status, signature and figures: of the first call or, where that is right, of the same call again."""
    groups = _groups(trial, answers.first, limits)
    if not finite(trial.reference):
        return Status.NONFINITE, "the reference itself", groups
    if not all(isfinite(error) for noise in trial.noise.values() for errors in noise.values() for error in errors):
        return Status.NONFINITE, "the CPU's own runs at this dtype", groups
    if (status := _status(answers.first, groups)) != Status.PASS:
        return status, None, groups
    again = _groups(trial, answers.again, limits)
    if (status := _status(answers.again, again)) != Status.PASS:
        return status, "not the same when called again", again
    return Status.PASS, None, groups


def _groups(trial: Trial, outputs: Sequence[Tensor], limits: Limit) -> dict[str, GroupFigures]:
    allowed = limits.isolated if trial.isolated else limits.outputs
    references = trial.parts(trial.outputs)
    return {
        name: compare_group(part, references[name], trial.noise[name], limits.floor, allowed)
        for name, part in trial.parts(outputs).items()
    }


def _status(outputs: Sequence[Tensor], groups: dict[str, GroupFigures]) -> Status:
    if not finite(outputs):
        return Status.NONFINITE
    return Status.WRONG if any(group.bad for group in groups.values()) else Status.PASS


def _layers(
    trial: Trial, tapped: Sequence[Tensor] | None, groups: dict[str, GroupFigures], limits: Limit
) -> list[LayerFigures]:
    """The tapped layers in place; of an isolated layer, what was found of its output."""
    if trial.isolated:
        worst = max(groups.values(), key=lambda group: (isnan(group.noise_ratio), group.noise_ratio))
        return [as_layer(layer.path, layer.type, "isolated", worst) for layer in trial.layers]
    if tapped is None:
        return []
    references, given = trial.parts(trial.reference), trial.parts(tapped)
    layers = []
    for layer in trial.layers:
        name = f"layer/{layer.path}"
        figures = compare_group(given[name], references[name], trial.noise[name], limits.floor, limits.in_place)
        layers.append(as_layer(layer.path, layer.type, "in_place", figures))
    return layers
