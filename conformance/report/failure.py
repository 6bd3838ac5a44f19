"""What a failing test says: what is wrong, where it begins, what is known of it, how to see it again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import isnan
from typing import NoReturn

import pytest

from conformance.cases.outcome import (
    Aspect,
    Check,
    DetectionCounts,
    GroupFigures,
    LayerFigures,
    Outcome,
    Record,
    Stage,
    Status,
    named,
)
from conformance.defects.catalogue import DEFECTS
from conformance.defects.defect import Defect, MinimalCase
from conformance.defects.error_codes import error_codes, source
from conformance.defects.offering import offered
from conformance.report.words import error_text, precision, share


def require_pass(record: Record) -> None:
    """Fail the test unless the outputs are right, of the model or of the layer; skip it where there is no verdict."""
    _require_none_of_ours(record)
    check = record.checked(Aspect.MODEL if record.layer is None else Aspect.ISOLATED)
    if check is None:  # it did not come to outputs
        _require_verdict(record)
        _fail(record, [came_to(record)])
    if not check.decided:
        _skip(check)
    if check.status is not Status.PASS:
        _fail(record, [named(check.status, record.stage, check.signature)])


def require_good_layers(record: Record) -> None:
    """Fail the test if any layer in place is bad; skip it where they were not seen, or there is no verdict."""
    _require_none_of_ours(record)
    check = record.checked(Aspect.IN_PLACE)
    if check is None:
        why = "it has no layers" if record.checks else "test_model says why"
        pytest.skip(f"no layer was seen ({came_to(record)}): {why}")
    if not check.decided:
        _skip(check)
    if check.status is not Status.PASS:
        bad = [layer for layer in record.layers if layer.bad]
        headline = f"{len(bad)} of {len(record.layers)} layers are wrong" if bad else check.detail
        _fail(record, [headline or check.status.value, *map(_layer, bad)])


def require_detections(record: Record) -> None:
    """Fail the test if the device loses detections or makes some up; skip it where there were none to lose."""
    _require_none_of_ours(record)
    check, found = record.checked(Aspect.DETECTIONS), record.detections
    if check is None:
        if record.status is Status.UNSUPPORTED:
            _require_verdict(record)
        _fail(record, [f"no detections were seen: {came_to(record)}"])
    if not check.decided:
        _skip(check)
    if check.status is Status.PASS:
        return
    if found is None:
        _fail(record, [named(check.status, Stage.RUN, check.signature), check.detail or ""])
    seen = f"{found.images} images" + (f" of {found.folder}" if found.folder else "")
    ap = "" if found.ap is None else f"; AP {precision(found.ap)} instead of {precision(found.reference_ap)}"
    _fail(record, [f"detections differ over {seen}{ap}", *map(_counts, found.counts)])


def require_failure(record: Record, defect: Defect, expected: MinimalCase) -> None:
    """Fail the test unless the minimal case failed exactly as the defect is known to; skip it where it was not run
    and would have had to be."""
    _require_none_of_ours(record)
    if record.status == Status.NOT_RUN and defect.stage in (Stage.LOAD, Stage.RUN, Stage.COMPARE):
        _require_verdict(record)
    if record.status in (Status.PASS, Status.NOT_RUN):
        _fail(record, [f"unexpected pass: {defect.id} is known to strike here; if it is fixed, narrow its packages"])
    if expected.or_error and (record.status, record.signature) == (Status.ERROR, expected.or_error):
        return
    wanted = named(expected.status, defect.stage, expected.signature)
    if wanted != came_to(record):
        _fail(record, [f"another failure than the known one: {came_to(record)} instead of {wanted}"])
    if (wrong := _wrong_images(record)) != expected.wrong_images:
        _fail(record, [f"other images are wrong than those known to be: {wrong} instead of {expected.wrong_images}"])


def _require_none_of_ours(record: Record) -> None:
    """Fail the test for an error of the suite's own."""
    __tracebackhide__ = True
    if record.status is Status.SUITE_ERROR:
        _fail(record, [came_to(record)])


def _require_verdict(record: Record) -> None:
    """Skip the test where there is no verdict."""
    __tracebackhide__ = True
    if not record.decided:
        _skip(record)


def _skip(verdict: Record | Check) -> NoReturn:
    __tracebackhide__ = True
    pytest.skip(f"{verdict.status.value.replace('_', ' ')}: {verdict.detail}")


def _wrong_images(record: Record) -> tuple[int, ...]:
    """The places in the batch at which any group is wrong."""
    bad = {place for group in record.groups.values() for place, image in enumerate(group.per_image) if image.bad}
    return tuple(sorted(bad))


def _fail(record: Record, headline: list[str]) -> NoReturn:
    __tracebackhide__ = True
    pytest.fail("\n".join([*headline, *lines(record)]), pytrace=False)


def lines(record: Record) -> Iterator[str]:
    """What is wrong and what is known of it."""
    if record.detail:
        yield record.detail
    yield from group_lines(record.groups)
    first = next((layer for layer in record.layers if layer.bad), None)
    if first is not None and record.layer is None:
        yield f"  first bad layer: {_layer(first).strip()}"
    if record.outputs_bad and record.published_gate and record.published_gate.passes:
        gate = record.published_gate
        yield f"  the published gate ({gate.rule}) would have passed it: {gate.cosine:.4f}"
    if record.invented:
        yield f"  made up by the emulator: what comes out of {', '.join(record.invented)} is not known"
    yield from known(record)
    yield f"  again: {record.command}"


def known(record: Record) -> Iterator[str]:
    """What is known of a failure: the defects that explain it, or what the compiler's code means; or nothing."""
    for name in record.defects:
        if (defect := DEFECTS.get(name)) is None:
            yield f"  known to the suite that wrote the record, and not to this one: {name}"
            continue
        helping = ", ".join(offered(defect, record.column.workarounds))
        instead = f"use {helping}" if helping else "no workaround known"
        yield f"  known: {defect.title} (evidence: {defect.evidence.value}); {instead}"
        yield f"         {defect.links[0]}"
    if record.defects or record.status is Status.PASS:
        return
    if record.status is Status.SUITE_ERROR:
        yield "  an error of the suite's own, which says nothing of the device; please report it:"
        yield from (f"  {line}" for line in (record.traceback or "").splitlines())
    elif record.models_own:
        yield "  the model: no target has anything to do with it"
    elif record.stage is Stage.CAPTURE:
        yield "  the model, or what captures it: torch.export, before any compiler"
    elif (code := error_codes().get(record.signature or "")) is not None:
        yield f"  {record.signature}: {code.means}; use {code.use}"
        yield f"         {source(str(record.signature))}"
    else:
        yield "  unknown: no defect of the catalogue explains it"


def group_lines(groups: Mapping[str, GroupFigures]) -> Iterator[str]:
    """`✗ scores noise ratio 48.2 of the peak (per image: 1, 48.2), error 4.9e-05 (negligible for detections), cosine
    0.9999`: a line for each group."""
    width = max(map(len, groups), default=0)
    for name, group in groups.items():
        mark, ratios = "✗" if group.bad else " ", ", ".join(f"{i.noise_ratio:.3g}" for i in group.per_image)
        figures = f"{_ratio(group)} (per image: {ratios}), error {error_text(group)}, cosine {group.cosine:.4f}"
        yield f"{mark} {name:<{width}} {figures}"


def came_to(outcome: Outcome) -> str:
    """`wrong in compare`, `error in lower (RuntimeError)`."""
    return named(outcome.status, outcome.stage, outcome.signature)


def _ratio(figures: GroupFigures | LayerFigures) -> str:
    """The L2 norm is not named."""
    worst = max(figures.per_image, key=lambda image: (isnan(image.noise_ratio), image.noise_ratio), default=None)
    by = "" if worst is None or worst.measure == "L2" else f" of the {worst.measure}"
    return f"noise ratio {figures.noise_ratio:.3g}{by}"


def _counts(count: DetectionCounts) -> str:
    kept = f"{share(count.kept, count.reference)} of {count.reference}"
    return f"  confidence {count.confidence:g}: {kept} kept, {count.lost} lost, {count.spurious} spurious"


def _layer(layer: LayerFigures) -> str:
    return f"  {layer.path} ({layer.type}) {_ratio(layer)}, error {error_text(layer)}, cosine {layer.cosine:.4f}"
