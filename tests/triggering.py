"""Which defects a module triggers, of all that are known of anything in use today."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from torch import Tensor, nn

from conformance.cases.releases import releases
from conformance.defects.catalogue import DEFECTS, nodes_of
from conformance.defects.defect import Defect
from conformance.graphs.fx_match import calls
from conformance.programs.program import Program, Whole

CONTROLS = {
    "onnxruntime": "1.31.1",
    "openvino": "2026.4.1",
    "openvino-avx512": "2026.4.1",
    "torch-xla": "2.9.0",
    "xla-cpu": "2.9.0",
}
PRESENT = [  # not those of compilers before SDK 2.26 alone
    defect
    for defect in DEFECTS.values()
    if not defect.history
    and any(defect.affects(packages, ()) for packages in (CONTROLS, *(r.packages for r in releases().values())))
]


def defects_of(
    function: Callable[..., object] | nn.Module,
    *inputs: Tensor,
    among: Iterable[Defect] = PRESENT,
    workarounds: tuple[str, ...] = (),
) -> list[str]:
    """Their ids, in the order of the catalogue."""
    module = function if isinstance(function, nn.Module) else calls(function)
    nodes = nodes_of(Program(Whole(module, workarounds), inputs).exported.graph)
    return [defect.id for defect in among if any(defect.triggered_at(node, workarounds) for node in nodes)]
