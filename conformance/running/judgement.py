"""From a program's answers to an outcome: call by call, group by group, layer by layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isnan

import torch
from torch import Tensor

from conformance.cases.outcome import (
    Aspect,
    Check,
    DetectionFigures,
    GroupFigures,
    LayerFigures,
    Outcome,
    PublishedGate,
    Stage,
    Status,
)
from conformance.compare.limits import Limit, limit
from conformance.compare.verdict import as_layer, compare_group, finite, mismatch, published_gate
from conformance.core.groups import Group
from conformance.running.comparison import Comparison, Images

SAME = "the same for other images"


@dataclass(frozen=True)
class RunOutputs:
    """What the compiled programs gave: at each call, for the images that are compared and for others in turn; and for
    the former with all layers tapped, or why that failed."""

    calls: tuple[tuple[Tensor, ...], ...]
    tapped: tuple[Tensor, ...] | None = None
    tapping_failed: str | None = None


def judge(comparison: Comparison, outputs: RunOutputs, dtype: str, unsure: str | None = None) -> Outcome:
    """The outcome of a program that ran. `unsure` is why a network cannot be judged at this dtype: then only what is
    further from the reference than another image is, or does not depend on the image, is wrong."""
    limits = limit(dtype)
    calls = [_call(comparison, answer, number, limits, unsure) for number, answer in enumerate(outputs.calls, 1)]
    checks = [check for check, _ in calls]
    groups = next((found for check, found in calls if check.status is not Status.PASS), calls[0][1])
    if unsure and all(check.status is Status.NOT_JUDGED for check in checks):
        checks += _same_for_all(comparison, outputs.calls, dtype)
    layers = _layers(comparison, outputs.tapped, groups, limits, unsure)
    if outputs.tapping_failed is not None:
        checks.append(Check(of=Aspect.IN_PLACE, status=Status.NOT_RUN, detail=outputs.tapping_failed))
    elif outputs.tapped is not None:
        checks.append(_in_place(comparison, outputs.tapped, layers, unsure))
    return with_verdict(
        Outcome(
            stage=Stage.COMPARE,
            status=Status.PASS,
            checks=checks,
            groups=groups,
            layers=layers,
            first_bad_layer=next((layer.path for layer in layers if layer.bad), None),
            published_gate=_gate(comparison, outputs.calls[0]) if checks[0].status is not Status.MISMATCH else None,
        )
    )


def judge_detections(figures: DetectionFigures) -> Check:
    """The verdict on detections: none of the reference's is lost and none is made up, but what rounding alone
    decides."""
    differ = figures.nonfinite or any(count.lost or count.spurious for count in figures.counts)
    if differ and not figures.rounding:
        return Check(of=Aspect.DETECTIONS, status=Status.WRONG, signature=Aspect.DETECTIONS.value)
    if not any(count.reference for count in figures.counts):
        seen = f"{figures.images} images" + (f" of {figures.folder}" if figures.folder else "")
        why = f"the reference detects nothing in {seen}: show it other pictures, --images DIR"
        return Check(of=Aspect.DETECTIONS, status=Status.NOT_JUDGED, detail=why)
    said = "what is lost or made up is so by rounding alone" if differ else None
    return Check(of=Aspect.DETECTIONS, status=Status.PASS, detail=said)


def with_verdict(outcome: Outcome) -> Outcome:
    """The outcome with the status of its checks: of the first that is wrong, else of the first of the model that
    could not be judged."""
    wrong = next((check for check in outcome.checks if check.decided and check.status is not Status.PASS), None)
    unsure = (check for check in outcome.checks if check.of in (Aspect.MODEL, Aspect.ISOLATED) and not check.decided)
    first = wrong or next(unsure, outcome.checks[0])
    return outcome.model_copy(update={"status": first.status, "signature": first.signature, "detail": first.detail})


def _gate(comparison: Comparison, answer: Sequence[Tensor]) -> PublishedGate | None:
    """What the published gate says of a whole model with layers."""
    return (
        published_gate(answer, comparison.compared.reference[: comparison.output_count])
        if comparison.tapped
        else None
    )


def _call(
    comparison: Comparison, answer: Sequence[Tensor], number: int, limits: Limit, unsure: str | None
) -> tuple[Check, dict[str, GroupFigures]]:
    """The verdict on one call, and its figures. All calls with an even number are of the other images."""
    images = comparison.compared if number % 2 else comparison.others
    aspect = Aspect.ISOLATED if comparison.isolated else Aspect.MODEL
    outputs = images.reference[: comparison.output_count]
    if difference := mismatch(answer, outputs, comparison.dtypes[: comparison.output_count]):
        return Check(of=aspect, status=Status.MISMATCH, detail=difference, call=number), {}
    groups = _groups(comparison, answer, images, limits, unsure)
    if not finite(answer):
        status = Status.NONFINITE
    elif any(group.bad for group in groups.values()):
        status = Status.WRONG
    else:
        status = Status.NOT_JUDGED if unsure else Status.PASS
    signature = f"call {number}" if number > 1 and status in (Status.WRONG, Status.NONFINITE) else None
    detail = unsure if status is Status.NOT_JUDGED else None
    ratio = max((group.noise_ratio for group in groups.values()), key=lambda ratio: (isnan(ratio), ratio))
    return Check(of=aspect, status=status, signature=signature, detail=detail, call=number, noise_ratio=ratio), groups


def _groups(
    comparison: Comparison, answer: Sequence[Tensor], images: Images, limits: Limit, unsure: str | None
) -> dict[str, GroupFigures]:
    allowed = limits.isolated if comparison.isolated else limits.outputs
    references = comparison.parts(images.reference[: comparison.output_count], images)
    return {
        name: compare_group(
            part,
            references[name],
            images.baseline[name],
            limits.floor,
            allowed,
            images.apart[name] if unsure else None,
        )
        for name, part in comparison.parts(answer, images).items()
    }


def _same_for_all(comparison: Comparison, calls: Sequence[Sequence[Tensor]], dtype: str) -> Iterator[Check]:
    """The verdict on groups that do not depend on the image, where the reference's do, and the CPU's at this dtype:
    however far rounding goes, it does not go to the same place for two images."""
    shown = (comparison.compared, comparison.others)
    for group in comparison.groups if len(calls) > 1 else ():
        if min(comparison.compared.apart[group.name]) > 0 and _equal(group, calls[:2]):
            if _equal(group, [comparison.on_cpu(images, dtype) for images in shown]):
                continue
            detail = f"{group.name}: the same answer for other images"
            yield Check(of=Aspect.MODEL, status=Status.WRONG, signature=SAME, detail=detail, call=2)


def _equal(group: Group, answers: Sequence[Sequence[Tensor]]) -> bool:
    return torch.equal(*map(group.of, answers))


def _in_place(
    comparison: Comparison, tapped: Sequence[Tensor], layers: Sequence[LayerFigures], unsure: str | None
) -> Check:
    """The verdict on all layers together."""
    if difference := mismatch(tapped, comparison.compared.reference, comparison.dtypes):
        return Check(of=Aspect.IN_PLACE, status=Status.MISMATCH, signature=Aspect.IN_PLACE.value, detail=difference)
    if any(layer.bad for layer in layers):
        return Check(of=Aspect.IN_PLACE, status=Status.WRONG, signature=Aspect.IN_PLACE.value)
    return Check(of=Aspect.IN_PLACE, status=Status.NOT_JUDGED if unsure else Status.PASS, detail=unsure)


def _layers(
    comparison: Comparison,
    tapped: Sequence[Tensor] | None,
    groups: dict[str, GroupFigures],
    limits: Limit,
    unsure: str | None,
) -> list[LayerFigures]:
    """The tapped layers in place; of an isolated layer, what was found of its output."""
    if comparison.isolated and groups:
        worst = max(groups.values(), key=lambda group: (isnan(group.noise_ratio), group.noise_ratio))
        return [as_layer(layer.path, layer.type, "isolated", worst) for layer in comparison.layers]
    images = comparison.compared
    if tapped is None or mismatch(tapped, images.reference, comparison.dtypes):
        return []
    references, given = (
        comparison.parts(images.reference, images, tapped=True),
        comparison.parts(tapped, images, tapped=True),
    )
    layers = []
    for layer in comparison.layers:
        name = f"layer/{layer.path}"
        figures = compare_group(
            given[name],
            references[name],
            images.baseline[name],
            limits.floor,
            limits.in_place,
            images.apart[name] if unsure else None,
        )
        layers.append(as_layer(layer.path, layer.type, "in_place", figures))
    return layers
