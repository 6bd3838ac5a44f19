"""torch-xla without functionalization reads the pieces of a split densely from the flat buffer.

`x.split([a, b], dim)` becomes `aten.split_with_sizes`, whose pieces are strided views. torch-xla's lowering of
such a view ignores the strides: it flattens the tensor, takes one contiguous run from the right offset, and
reshapes it. That is right only where nothing before `dim` is larger than 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any

from conformance.cases.outcome import Stage, Status
from conformance.core.deferred import torch
from conformance.defects.dataflow import reachable
from conformance.defects.defect import Defect, Evidence, MinimalCase
from conformance.graphs.fx_match import arguments, calls, operator

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.fx import Node

WORKAROUNDS = ("slice", "tensor_split", "functionalization")


def splits_across_rows(node: Node) -> bool:
    """Whether the node splits into given sizes, and a piece that is used is read from other places: one that is a
    part of what is split, where a dimension before that is larger than 1."""
    if operator(node) not in ("split_with_sizes", "unsafe_split_with_sizes"):
        return False
    given = arguments(node)
    shape, sizes = given["self"].meta["val"].shape, given["split_sizes"]
    rows, total = prod(shape[: given["dim"] % len(shape)]), shape[given["dim"]]
    wrong = [index for index, size in enumerate(sizes) if rows > 1 and 0 < size < total]
    used = {user.args[1] if operator(user) == "getitem" else None for user in node.users if reachable(user)}
    return bool(wrong) and (None in used or not used.isdisjoint(wrong))


def split_densely(x: Tensor, split_sizes: Sequence[int], dim: int = 0) -> tuple[Tensor, ...]:
    """What torch-xla computes: each piece is one contiguous run of the flat buffer, from the right offset."""
    x = x.contiguous()
    flat, start, pieces = x.reshape(-1), 0, []
    for size in split_sizes:
        shape = list(x.shape)
        shape[dim] = size
        offset = start * x.stride(dim)
        pieces.append(flat[offset : offset + prod(shape)].reshape(shape))
        start += size
    return tuple(pieces)


def _split(sizes: list[int], dim: int, view: tuple[int, ...] | None = None) -> nn.Module:
    """A module that does nothing but split, after a view of the dimensions behind the batch where one is given."""
    return calls(lambda x: (x.view(x.shape[0], *view) if view else x).split(sizes, dim))


def _noise(*shape: int) -> Any:
    def inputs(index: int) -> tuple[Tensor, ...]:
        return (torch.randn(shape, generator=torch.Generator().manual_seed(index)),)

    return inputs


def _transcript(index: int) -> tuple[Tensor, ...]:
    """The input printed in aws-neuron-sdk#1140; other indices give other numbers."""
    rows = [
        [0.0290, 0.9948, 0.5839, 0.7281, 0.2777, 0.1958],
        [0.9044, 0.6669, 0.5071, 0.0057, 0.8488, 0.8799],
    ]
    return (torch.tensor(rows).roll(index, dims=-1),)


SPLIT_WITH_SIZES = Defect(
    id="split-with-sizes",
    title="split into given sizes reads the wrong elements (strides ignored)",
    known=(
        "torch-xla lowers split_with_sizes as flatten, one contiguous slice, reshape, as long as functionalization "
        "is off (XLA_DISABLE_FUNCTIONALIZATION=1), and that is how torch-neuronx sets it. It happens before "
        "neuronx-cc sees the program, so no compiler option helps. In YOLO26 it hits the attention of C2PSA "
        "(q, k, v) at every batch size, and C2PSA's own two halves from the second image of a batch on."
    ),
    evidence=Evidence.REPRODUCED,
    seen="torch-xla 2.9.0 (CPU); transcript of an inf2.8xlarge in aws-neuron-sdk#1140",
    links=(
        "https://github.com/aws-neuron/aws-neuron-sdk/issues/1323",
        "https://github.com/aws-neuron/aws-neuron-sdk/issues/1140",
        "https://github.com/pytorch/xla/issues/8640",
        "https://github.com/pytorch/xla/issues/8410",
    ),
    packages={"torch-xla": ">=2.5"},
    trigger=splits_across_rows,
    stage=Stage.COMPARE,
    fault=split_densely,
    workarounds=("slice", "chunk", "tensor_split", "functionalization"),
    prevented_by=("functionalization",),
    minimal_cases=(
        MinimalCase(
            name="sdk-1140",
            title="(2, 6) split into [2, 4] along the last dimension, with the numbers of the report",
            build=lambda: _split([2, 4], -1),
            inputs=_transcript,
            batch=2,
            status=Status.WRONG,
            wrong_images=(1,),  # the first row of each piece is where a dense reading begins, too
            workarounds=WORKAROUNDS,
        ),
        MinimalCase(
            name="attention-qkv",
            title="unequal split on dim 2 after a view, one image (sdk#1323, C2PSA attention)",
            build=lambda: _split([32, 32, 64], 2, view=(4, 128, 100)),
            inputs=_noise(1, 512, 10, 10),
            batch=1,
            status=Status.WRONG,
            wrong_images=(0,),
            workarounds=WORKAROUNDS,
        ),
        MinimalCase(
            name="two-halves",
            title="equal split on dim 1, two images: the first is right, the second is not (sdk#1323, C2PSA)",
            build=lambda: _split([128, 128], 1),
            inputs=_noise(2, 256, 10, 10),
            batch=2,
            status=Status.WRONG,
            wrong_images=(1,),
            workarounds=(*WORKAROUNDS, "chunk"),
        ),
    ),
)
