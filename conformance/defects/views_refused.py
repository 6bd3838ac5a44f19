"""torch-xla refuses some operators, most of them without functionalization alone."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from conformance.cases.outcome import Stage, Status
from conformance.core.deferred import functional, torch
from conformance.defects.cpu_fallback import refused
from conformance.defects.defect import Defect, Evidence, MinimalCase
from conformance.graphs.fx_match import calls, images

if TYPE_CHECKING:
    from torch import Tensor


def _inverted(x: Tensor) -> Tensor:
    inverse: Tensor = torch.linalg.pinv(x)
    return inverse


def _unshuffled(x: Tensor) -> Tensor:
    return functional.pixel_unshuffle(x, 2)


VIEWS_REFUSED = Defect(
    id="views-refused",
    title="operators that torch-xla refuses to trace: pixel_unshuffle, Tensor.unfold, diag_embed, affine_grid, ...",
    known=(
        "As long as functionalization is off, as torch-neuronx sets it, torch-xla refuses some operators while the "
        "model is traced, views above all: pixel_unshuffle, Tensor.unfold, view_as_real and view_as_complex, "
        "as_strided without a stride of 1, diag_embed, block_diag, affine_grid, F.bilinear, cdist of more than 25 "
        "rows. pixel_unshuffle is view, permute and reshape; windows are slices. With functionalization most are "
        "lowered, and Tensor.unfold is left to the CPU: see `frozen-fallback`. The pseudo-inverse of several "
        "matrices is refused either way."
    ),
    evidence=Evidence.REPRODUCED,
    seen=(
        "torch-xla 2.9.0 (CPU): every operator of the table that is refused; the message for unfold in "
        "pytorch/xla#2239"
    ),
    links=(
        "https://github.com/pytorch/xla/issues/2239",
        "https://github.com/pytorch/xla/blob/v2.9.0/torch_xla/csrc/aten_xla_type.cpp",
    ),
    packages={"torch-xla": ">=2.9"},
    trigger=refused,
    triggers_with={"functionalization": partial(refused, functionalization=True)},
    stage=Stage.LOWER,
    error_code="RuntimeError",
    workarounds=("pixel_unshuffle", "unfold", "functionalization"),
    minimal_cases=(
        MinimalCase(
            name="pixel-unshuffle",
            title="8 x 8 to four times the channels",
            build=lambda: calls(_unshuffled),
            inputs=images(1, 3, 8, 8),
            batch=1,
            status=Status.ERROR,
            signature="RuntimeError",
            workarounds=("pixel_unshuffle", "functionalization"),
        ),
        MinimalCase(
            name="unfold",
            title="windows of 3 columns, one every 2",
            build=lambda: calls(lambda x: x.unfold(3, 3, 2) * 1),
            inputs=images(1, 3, 4, 9),
            batch=1,
            status=Status.ERROR,
            signature="RuntimeError",
            workarounds=("unfold",),
        ),
        MinimalCase(
            name="pseudo-inverse",
            title="of two 4 x 4 matrices",
            build=lambda: calls(_inverted),
            inputs=images(2, 4, 4),
            batch=2,
            status=Status.ERROR,
            signature="RuntimeError",
            workarounds=(),
        ),
    ),
)
