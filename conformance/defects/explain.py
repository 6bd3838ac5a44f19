"""Which known defects explain a failure: those whose trigger is found where it went wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from conformance.defects.catalogue import find, present
from conformance.defects.defect import unseen
from conformance.graphs.exported import node_scope

if TYPE_CHECKING:
    from conformance.program import Program


def explain(
    program: Program,
    packages: Mapping[str, str],
    workarounds: tuple[str, ...],
    hardware: str,
    dtype: str,
    first_bad_layer: str | None,
    signature: str | None,
) -> list[str]:
    """Ids of the defects that these package versions have, that strike in the first bad layer (anywhere, if
    none is known), or that refuse with this signature; those that no graph shows are known by it alone."""
    try:
        graph = program.exported.graph
    except Exception:  # a failure that cannot be explained is still a failure, and is recorded
        return []
    found = find(graph, packages, workarounds, hardware, dtype)
    settings = [defect for defect in present(packages, workarounds, hardware, dtype) if defect.trigger is unseen]
    struck = [*settings, *(defect for defect, _ in found)]
    refused = {defect.id for defect in struck if defect.refusal and defect.refusal == signature}
    wrong = {
        defect.id
        for defect, node in found
        if defect.refusal is None and _within(node_scope(node, program.paths), first_bad_layer)
    }
    return sorted(refused | wrong)


def _within(scope: str | None, layer: str | None) -> bool:
    """Whether a scope, `model.10.attn`, lies in the layer `model.10`."""
    return layer is None or f"{scope}.".startswith(f"{layer}.")
