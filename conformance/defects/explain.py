"""Which known defects explain a failure: those whose trigger is found where it went wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from conformance.defects.catalogue import find, module_path

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
    none is known), or that refuse with this signature."""
    try:
        graph = program.exported.graph
    except Exception:  # a failure that cannot be explained is still a failure, and is recorded
        return []
    ids = [
        defect.id
        for defect, node in find(graph, packages, workarounds, hardware, dtype)
        if (signature == defect.refusal if defect.refusal else _within(module_path(node), first_bad_layer))
    ]
    return sorted(set(ids))


def _within(path: str, layer: str | None) -> bool:
    """Whether a module path of a captured program, `module.model.10.attn`, lies in the layer `model.10`."""
    return layer is None or f"{path}.".startswith(f"module.{layer}.")
