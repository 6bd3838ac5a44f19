"""torch-xla without functionalization reads a strided view densely."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING

from conformance.cases.outcome import Stage, Status
from conformance.core.deferred import torch
from conformance.defects.cpu_fallback import refused
from conformance.defects.defect import Defect, Evidence, MinimalCase
from conformance.graphs.fx_match import arguments, calls, images, operator

if TYPE_CHECKING:
    from torch import Tensor
    from torch.fx import Node


_MOST = 2**26  # places that are laid out to compare them; a view of more is taken to be one that is wrong


def reads_other_values(node: Node) -> bool:
    """Whether the node is a view by strides that is not refused, and a dense reading gives other values."""
    if operator(node) != "as_strided" or refused(node):
        return False
    given = arguments(node)
    x, size, stride, offset = given["self"].meta["val"], given["size"], given["stride"], given["storage_offset"]
    last = max(_last(x.shape, x.stride(), x.storage_offset()), _last(size, stride, offset or 0))
    if last >= _MOST:
        return True
    indices = torch.arange(last + 1)
    seen = indices.as_strided(x.shape, x.stride(), x.storage_offset())
    right = indices.as_strided(size, stride, x.storage_offset() if offset is None else offset)
    return not torch.equal(viewed_densely(seen, size, stride, offset), right)


def _last(size: Sequence[int], stride: Sequence[int], offset: int) -> int:
    """The last place in memory that a view reads."""
    return offset + sum((length - 1) * step for length, step in zip(size, stride, strict=True))


def viewed_densely(
    x: Tensor, size: Sequence[int], stride: Sequence[int], storage_offset: int | None = None
) -> Tensor:
    """What torch-xla computes: a contiguous run of the flat tensor, in which larger strides are outer dimensions."""
    flat = x.reshape(-1)[storage_offset or 0 :][: prod(size)]
    outer_first = sorted(range(len(size)), key=lambda axis: -stride[axis])
    dense = flat.reshape([size[axis] for axis in outer_first])
    return dense.permute([outer_first.index(axis) for axis in range(len(size))])


AS_STRIDED = Defect(
    id="as-strided",
    title="as_strided reads the wrong elements (strides ignored)",
    known=(
        "As long as functionalization is off, as torch-neuronx sets it, torch-xla lowers a view by strides as one "
        "contiguous run of the flat tensor, and takes from the strides only the order of the dimensions: every other"
        " column, a window that overlaps the next and a diagonal are wrong. A view in which no stride is 1 is "
        "refused. Write slices, unbind or gather."
    ),
    evidence=Evidence.REPRODUCED,
    seen="torch-xla 2.9.0 (CPU), found while its operators were measured; the lowering that split-with-sizes meets",
    links=(
        "https://github.com/pytorch/xla/issues/8640",
        "https://github.com/pytorch/xla/blob/v2.9.0/torch_xla/csrc/ops/as_strided.cpp",
    ),
    packages={"torch-xla": ">=2.9"},
    trigger=reads_other_values,
    stage=Stage.COMPARE,
    fault=viewed_densely,
    workarounds=("as_strided", "functionalization"),
    prevented_by=("functionalization",),
    minimal_cases=(
        MinimalCase(
            name="half-of-each-row",
            title="the first 3 of 6 columns",
            build=lambda: calls(lambda x: x.as_strided((2, 3), (6, 1)) * 1),
            inputs=images(2, 6),
            batch=2,
            status=Status.WRONG,
            wrong_images=(1,),
            workarounds=("as_strided", "functionalization"),
        ),
        MinimalCase(
            name="overlapping",
            title="windows of 3 columns, one at every column",
            build=lambda: calls(lambda x: x.as_strided((2, 3, 3), (9, 1, 1)) * 1),
            inputs=images(2, 9),
            batch=2,
            status=Status.WRONG,
            wrong_images=(0, 1),
            workarounds=("as_strided", "functionalization"),
        ),
    ),
)
