"""Which known defects explain a failure: those that show so, and whose trigger is found where it went wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isfinite
from typing import TYPE_CHECKING

from conformance.cases.outcome import Outcome, Status
from conformance.defects.catalogue import nodes_of, present
from conformance.defects.defect import Defect, EmulatedFault, unseen
from conformance.graphs.exported import node_scope

_NUMERIC = (Status.WRONG, Status.NONFINITE, Status.MISMATCH)

if TYPE_CHECKING:
    from torch.fx import Node

    from conformance.graphs.graph import Fallback
    from conformance.programs.program import Program


def explain(
    program: Program,
    outcome: Outcome,
    *,
    packages: Mapping[str, str],
    workarounds: tuple[str, ...],
    hardware: str,
    dtype: str,
    layer: str | None,
    frozen: Sequence[Fallback] | None = None,
) -> list[str]:
    """Ids of the defects that these package versions have, that show as this outcome does, and that something
    triggers in the first bad layer, or between the one before it and its end; anywhere, if none is known. Those that
    no graph shows are known by the signature alone.

    `frozen` is what the front end was seen to compute itself while it traced, where it says so.
    """
    known = present(packages, workarounds, hardware, dtype)
    alike = [defect for defect in known if shows_as(defect, outcome)]
    where = _Where(program, outcome, layer)
    return sorted({defect.id for defect in alike if _is_triggered(defect, where, workarounds, frozen)})


def shows_as(defect: Defect, outcome: Outcome) -> bool:
    """Whether the defect can have come to this: its own stage, status and signature, and no other's.

    Wrong numbers may end as infinities or NaN further on: what counts is the layer in which they begin.
    """
    if outcome.status in _NUMERIC:
        statuses = {minimal.status for minimal in defect.minimal_cases if minimal.status in _NUMERIC}
        if defect.fault is not None:
            statuses.add(Status.WRONG)
        return outcome.stage is defect.stage and _first_status(outcome) in statuses
    codes = {(minimal.status, minimal.signature) for minimal in defect.minimal_cases}
    if defect.error_code is not None:
        codes.add((Status.CRASH if defect.error_code.startswith("SIG") else Status.ERROR, defect.error_code))
    if (outcome.status, outcome.signature) in codes:
        return outcome.stage is defect.stage
    return outcome.signature in {minimal.or_error for minimal in defect.minimal_cases if minimal.or_error}


def _first_status(outcome: Outcome) -> Status:
    """What is wrong where it begins."""
    first = next((one for one in outcome.layers if one.path == outcome.first_bad_layer), None)
    if outcome.status is Status.NONFINITE and first is not None and isfinite(first.noise_ratio):
        return Status.WRONG
    return outcome.status


@dataclass(frozen=True)
class _Where:
    """A program, and the layer of it in which an outcome's failure begins; None where that is not known."""

    program: Program
    outcome: Outcome
    layer: str | None

    @cached_property
    def suspects(self) -> list[Node]:
        """The nodes that may have made it wrong: of the layer, and of what calls it, behind the layer before it. None
        of a program that cannot be captured."""
        try:
            nodes = nodes_of(self.program.exported.graph)
        except Exception:  # noqa: BLE001 (a failure that cannot be explained is still a failure, and is recorded)
            return []
        scopes = [node_scope(node, self.program.paths) for node in nodes]
        before = _before(self.outcome, self.layer)
        own, behind = ([n for n, scope in enumerate(scopes) if _within(scope, path)] for path in (self.layer, before))
        first, last = (own[0], own[-1]) if own else (0, -1)
        start = behind[-1] if before and behind else -1
        return [
            node
            for number, (node, scope) in enumerate(zip(nodes, scopes, strict=True))
            # What runs between them belongs to it, also where a module that it shares goes by another's name.
            if first <= number <= last or (start < number < first and _around(scope, self.layer))
        ]


def _is_triggered(
    defect: Defect, where: _Where, workarounds: tuple[str, ...], frozen: Sequence[Fallback] | None
) -> bool:
    if defect.trigger is unseen:
        return defect.error_code is not None
    if defect.fault is EmulatedFault.FROZEN and frozen is not None:
        # What was moved is a constant for all that reads it on the device as well, and so is what comes before.
        return any(one.moved or _within(one.scope, where.layer) or _around(one.scope, where.layer) for one in frozen)
    return any(defect.triggered_at(node, workarounds) for node in where.suspects)


def _before(outcome: Outcome, layer: str | None) -> str | None:
    """The layer that was compared before this one, and neither holds it nor is a part of it."""
    paths = [one.path for one in outcome.layers]
    earlier = paths[: paths.index(layer)] if layer in paths else []
    apart = (path for path in reversed(earlier) if not (_within(path, layer) or _within(layer, path)))
    return next(apart, None)


def _within(scope: str | None, layer: str | None) -> bool:
    """Whether a scope, `model.10.attn`, lies in the layer `model.10`."""
    return layer is None or f"{scope}.".startswith(f"{layer}.")


def _around(scope: str | None, layer: str | None) -> bool:
    """Whether a scope, `model`, is that of a module that has the layer `model.10` in it, and calls it."""
    return bool(layer) and scope is not None and (scope == "" or f"{layer}.".startswith(f"{scope}."))
