"""torch-xla without functionalization has no implementation of some views."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.cases.outcome import Stage, Status
from conformance.defects.defect import Defect, Evidence, MinimalCase
from conformance.defects.small import calls, images, operator

if TYPE_CHECKING:
    from torch import Tensor
    from torch.fx import Node


def is_a_view_without_implementation(node: Node) -> bool:
    """Whether the node is one of these operators."""
    return operator(node) in ("unfold", "view_as_real", "pixel_unshuffle")


def _unshuffled(x: Tensor) -> Tensor:
    from torch.nn import functional

    return functional.pixel_unshuffle(x, 2)


VIEWS_REFUSED = Defect(
    id="views-refused",
    title="Tensor.unfold, view_as_real and pixel_unshuffle cannot be traced",
    known=(
        "As long as functionalization is off, as torch-neuronx sets it, torch-xla refuses these operators while the "
        "model is traced. pixel_unshuffle is view, permute and reshape; windows are slices. With "
        "functionalization Tensor.unfold is left to the CPU: see `frozen-fallback`."
    ),
    evidence=Evidence.REPRODUCED,
    seen="torch-xla 2.9.0 (CPU)",
    links=("https://github.com/pytorch/xla/tree/v2.9.0/torch_xla/csrc",),
    packages={"torch-xla": "==2.9.*"},
    trigger=is_a_view_without_implementation,
    stage=Stage.LOWER,
    refusal="RuntimeError",
    workarounds=("functionalization",),
    prevented_by=("functionalization",),
    minimal_cases=(
        MinimalCase(
            name="pixel-unshuffle",
            title="8 x 8 to four times the channels",
            build=lambda: calls(_unshuffled),
            inputs=images(1, 3, 8, 8),
            batch=1,
            status=Status.ERROR,
            signature="RuntimeError",
            workarounds=("functionalization",),
        ),
        MinimalCase(
            name="unfold",
            title="windows of 3 columns, one every 2",
            build=lambda: calls(lambda x: x.unfold(3, 3, 2) * 1),
            inputs=images(1, 3, 4, 9),
            batch=1,
            status=Status.ERROR,
            signature="RuntimeError",
            workarounds=(),
        ),
    ),
)
