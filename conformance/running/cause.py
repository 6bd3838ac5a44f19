"""Why a case is not right: known defects, what the compiled program lacks of the source, what its front end computed
itself. What is seen in a graph is a cause where numbers are wrong, and a note where they are right; never a
verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.cases.case import Case
from conformance.cases.outcome import Outcome, Stage, Status
from conformance.defects.catalogue import DEFECTS, find, nodes_of
from conformance.defects.defect import EmulatedFault
from conformance.defects.explain import explain
from conformance.defects.offering import offered
from conformance.graphs.graph import Fallback
from conformance.graphs.integrity import CONSTANT_FOLDED, DROPPED, cause_text, check_integrity
from conformance.programs.program import CaptureError
from conformance.running.device import LONGEST_DETAIL, Device

if TYPE_CHECKING:
    from conformance.running.comparison import Comparison


def with_cause(case: Case, comparison: Comparison, device: Device, outcome: Outcome) -> Outcome:
    """The outcome with the known defects that explain it or, where none does, what its program lacks; and with what
    else was seen in the program as notes."""
    frozen = _frozen(comparison, device)
    defects = _defects(case, comparison, device, outcome, frozen) if outcome.failed else []
    helping = _helping(case, comparison, defects) if defects else {}
    invented = _invented(case, comparison, device, outcome)
    outcome = outcome.model_copy(update={"defects": defects, "helping": helping, "invented": invented})
    if not case.subject.task:  # of a minimal case it is known what is wrong
        return outcome
    findings = []
    if not frozen:  # or all that went before is missing in the graph, too
        findings = [
            finding for graph in device.graphs for finding in check_integrity(comparison.program.source, graph)
        ]
    wrong = outcome.failed and outcome.stage in (Stage.RUN, Stage.COMPARE)
    seen = [cause_text(findings)] if findings else []
    if frozen and wrong:
        outcome = _detailed(outcome, f"computed while it was traced, a constant since: {_named(frozen)}")
    elif frozen:
        seen.append(f"a constant, computed while it was traced: {_named(frozen)}")
    elif wrong and findings and not defects:
        dropped = any(finding.signature == DROPPED for finding in findings)
        cause = {"stage": Stage.LOWER, "status": Status.WRONG, "signature": DROPPED if dropped else CONSTANT_FOLDED}
        return _detailed(outcome.model_copy(update=cause), *seen)
    right = "; numbers right" if outcome.status is Status.PASS else ""
    return outcome.model_copy(update={"notes": [*outcome.notes, *(f"graph: {text}{right}" for text in seen)]})


def _frozen(comparison: Comparison, device: Device) -> list[Fallback]:
    """What the front end computed itself, of what depends on an input."""
    called = comparison.program.source.called if device.fallbacks else ()
    operators = {operator for operator, _ in called}
    return [
        one
        for one in device.fallbacks
        if one.moved or (one.operator, one.scope) in called or (not one.scope and one.operator in operators)
    ]


def _named(fallbacks: list[Fallback]) -> str:
    """`aten::grid_sampler_2d in model.28.cross_attn, aten::nonzero in the model itself`."""
    named = (("+".join(one.computed) or one.operator, one.scope or "the model itself") for one in fallbacks)
    return ", ".join(f"{operator} in {scope}" for operator, scope in named)


def _defects(
    case: Case, comparison: Comparison, device: Device, outcome: Outcome, frozen: list[Fallback]
) -> list[str]:
    return explain(
        comparison.program,
        outcome,
        packages=device.target.packages(case.column.hardware, case.column.sdk),
        workarounds=case.column.workarounds,
        hardware=case.column.hardware,
        dtype=case.subject.dtype,
        layer=None if comparison.isolated else outcome.first_bad_layer,
        frozen=frozen if device.watched else None,
    )


def _helping(case: Case, comparison: Comparison, defects: list[str]) -> dict[str, list[str]]:
    """Of each defect the workarounds that fit where it is triggered; nothing where there is no graph to see it in."""
    on = case.column.workarounds
    try:
        nodes = nodes_of(comparison.program.exported.graph)
    except CaptureError:
        return {}
    triggering = {name: [node for node in nodes if DEFECTS[name].triggered_at(node, on)] for name in defects}
    return {name: list(offered(DEFECTS[name], on, found)) for name, found in triggering.items() if found}


def _invented(case: Case, comparison: Comparison, device: Device, outcome: Outcome) -> list[str]:
    """The defects of which nobody has said what comes out, where an emulated answer came from them."""
    if not (device.target.emulated and outcome.groups):
        return []
    packages = device.target.packages(case.column.hardware, case.column.sdk)
    found = find(
        comparison.program.exported.graph, packages, case.column.workarounds, case.column.hardware, case.subject.dtype
    )
    return sorted({defect.id for defect, _ in found if defect.fault is EmulatedFault.UNPUBLISHED})


def _detailed(outcome: Outcome, *texts: str) -> Outcome:
    """The outcome with this before what else is said of it."""
    detail = "; ".join(filter(None, (*texts, outcome.detail)))[:LONGEST_DETAIL]
    return outcome.model_copy(update={"detail": detail})
