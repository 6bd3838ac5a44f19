"""What is said of a failure: what is wrong, where it begins, what is known of it, how to see it again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import isnan

from conformance.cases.outcome import (
    GroupFigures,
    LayerFigures,
    Record,
    Stage,
    Status,
)
from conformance.defects.catalogue import DEFECTS
from conformance.defects.error_codes import error_code_source, error_codes
from conformance.defects.offering import options
from conformance.graphs.hlo_difference import EQUAL
from conformance.report.formatting import error_text

_FRONT_END = {EQUAL: "the compiler was given what torch-xla gives on the CPU, so that it is not to blame"}


def lines(record: Record) -> Iterator[str]:
    """What is wrong and what is known of it."""
    if record.detail:
        yield record.detail
    if record.evidence:
        yield f"kept: {record.evidence}"
    if record.front_end:
        yield f"front end: {_FRONT_END.get(record.front_end, record.front_end)}"
    yield from group_lines(record.groups)
    first = next((layer for layer in record.layers if layer.bad), None)
    if first is not None and record.layer is None:
        yield f"  first bad layer: {layer_line(first).strip()}"
    if record.outputs_bad and record.published_gate and record.published_gate.passes:
        gate = record.published_gate
        yield f"  the published gate ({gate.rule}) would have passed it: {gate.cosine:.4f}"
    if record.invented:
        yield f"  made up by the emulator: what comes out of {', '.join(record.invented)} is not known"
    yield from known(record)
    yield f"  again: {record.command}"
    if record.hlo:
        yield f"  its HLO on compilers that know nothing of Neuron: conformance replay {record.hlo}"


def known(record: Record) -> Iterator[str]:
    """What is known of a failure: the defects that explain it, or what the compiler's code means; or nothing."""
    for name in record.defects:
        if (defect := DEFECTS.get(name)) is None:
            yield f"  known to the suite that wrote the record, and not to this one: {name}"
            continue
        on = record.column.workarounds
        sets = [" + ".join(names) for names in options(defect, record.helping.get(name), on)]
        fitting = " or ".join(one for one in defect.workarounds if one not in on and name not in record.helping)
        helping = f"use {', '.join(sets)}" if sets else ""
        instead = helping or (f"use {fitting}, what fits" if fitting else "no workaround known")
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
        yield f"         {error_code_source(str(record.signature))}"
    else:
        yield "  unknown: no defect of the catalogue explains it"


def group_lines(groups: Mapping[str, GroupFigures]) -> Iterator[str]:
    """`✗ scores error ratio 48.2 of the peak (per image: 1, 48.2), error 4.9e-05 (negligible for detections), cosine
    0.9999`: a line for each group."""
    width = max(map(len, groups), default=0)
    for name, group in groups.items():
        mark, ratios = "✗" if group.bad else " ", ", ".join(f"{i.noise_ratio:.3g}" for i in group.per_image)
        figures = f"{_ratio(group)} (per image: {ratios}), error {error_text(group)}, cosine {group.cosine:.4f}"
        yield f"{mark} {name:<{width}} {figures}"


def _ratio(figures: GroupFigures | LayerFigures) -> str:
    """The L2 norm is not named."""
    worst = max(figures.per_image, key=lambda image: (isnan(image.noise_ratio), image.noise_ratio), default=None)
    by = "" if worst is None or worst.measure == "L2" else f" of the {worst.measure}"
    return f"error ratio {figures.noise_ratio:.3g}{by}"


def layer_line(layer: LayerFigures) -> str:
    """`  model.10 (C2PSA) error ratio 48211, error 0.45 (visible), cosine 0.4512`."""
    return f"  {layer.path} ({layer.type}) {_ratio(layer)}, error {error_text(layer)}, cosine {layer.cosine:.4f}"
