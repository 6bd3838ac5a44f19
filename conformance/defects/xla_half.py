"""XLA's CPU backend adds up in 16 bits: norms in float16, and means over several dimensions in bfloat16."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from conformance.cases.outcome import Stage, Status
from conformance.core.deferred import functional, torch
from conformance.defects.defect import Defect, Evidence, MinimalCase
from conformance.graphs.fx_match import arguments, calls, operator

if TYPE_CHECKING:
    from torch import Tensor
    from torch.fx import Node

_NORMS = ("layer_norm", "group_norm", "instance_norm", "native_layer_norm", "native_group_norm")
_REDUCTIONS = ("sum", "mean", "var", "std", "var_mean", "std_mean")
MOST_VALUES = 144  # that a mean was seen to be right of: of 256 none was


def normalizes_in_float16(node: Node) -> bool:
    """Whether the node is a norm by statistics of its input, and that is float16."""
    if operator(node) not in _NORMS and not _trains(node):
        return False
    return bool(str(node.all_input_nodes[0].meta["val"].dtype) == "torch.float16")


def _trains(node: Node) -> bool:
    given = arguments(node) if operator(node) == "batch_norm" else {}
    return bool(given and (given["training"] or given["running_mean"] is None))


def adds_up_in_bfloat16(node: Node) -> bool:
    """Whether the node reduces two dimensions or more of a bfloat16 tensor, of many values."""
    if operator(node) not in _REDUCTIONS:
        return False
    given = arguments(node)
    x, dims = given["self"].meta["val"], given.get("dim")
    if str(x.dtype) != "torch.bfloat16" or given.get("dtype") is not None:
        return False
    sizes: list[int] = [x.shape[dim] for dim in ([dims] if isinstance(dims, int) else dims or range(x.dim()))]
    return sum(size > 1 for size in sizes) > 1 and prod(sizes) > MOST_VALUES


def _inputs(index: int) -> tuple[Tensor, ...]:
    """Values around 2: the mean is large beside how far they spread."""
    return (torch.randn(2, 8, 32, 32, generator=torch.Generator().manual_seed(index)) + 2,)


def _normalized(name: str, *arguments: object) -> MinimalCase:
    def build() -> object:
        return calls(lambda x: getattr(functional, f"{name}_norm")(x * 4, *arguments))

    return MinimalCase(
        name=f"{name}-norm",
        title=f"{name} norm of 2 x 8 x 32 x 32 values around 8",
        build=build,  # type: ignore[arg-type]
        inputs=_inputs,
        batch=2,
        status=Status.WRONG,
        wrong_images=(0, 1),
        workarounds=(),
        dtype="float16",
    )


XLA_NORM = Defect(
    id="xla-cpu-float16-norm",
    title="LayerNorm, GroupNorm and InstanceNorm in float16 are computed in float16",
    known=(
        "torch-xla lowers these norms to HLO's batch-norm-training. XLA's CPU backend takes the sum of the squares "
        "in the type of the input, and the variance as the difference of that and the square of the mean: off by "
        "percents where the mean is large beside the spread, and all zero, or NaN, where the sum is beyond 65504, as"
        " of 8192 values of size 3. How wrong depends on the values: small and centred ones are right. bfloat16 and "
        "float32 are right, and so is norm(x.float()).half(). It says nothing about a NeuronCore."
    ),
    evidence=Evidence.REPRODUCED,
    seen="torch-xla 2.9.0 (CPU): 0.4 to 100 % off; reported of LayerNorm, without the overflow, in pytorch/xla#3658",
    links=(
        "https://github.com/pytorch/xla/issues/3658",
        "https://github.com/pytorch/xla/blob/v2.9.0/torch_xla/csrc/batch_norm.cpp",
    ),
    packages={"xla-cpu": ">=2.9"},
    dtypes=("float16",),
    trigger=normalizes_in_float16,
    stage=Stage.COMPARE,
    workarounds=(),
    minimal_cases=(_normalized("layer", (8, 32, 32)), _normalized("group", 4), _normalized("instance")),
)

XLA_MEAN = Defect(
    id="xla-cpu-bfloat16-mean",
    title="sums and means over two dimensions or more are added up in bfloat16",
    known=(
        "torch-xla hands on x.mean((2, 3)) as a reduction in the type of its input. XLA's CPU backend adds up one "
        "value after the other in bfloat16, and after some 256 of them a sum does not grow any more: 2 % off at "
        "20 x 20, half of the mean is gone at 32 x 32. One dimension is added up in a tree and is right, and so are "
        "float16, x.mean(3).mean(2) and x.float().mean((2, 3)). Below 12 x 12 values it is right within rounding. "
        "A NeuronCore adds up in float32 unless told otherwise (--enable-mixed-precision-accumulation)."
    ),
    evidence=Evidence.REPRODUCED,
    seen="torch-xla 2.9.0 (CPU), on an AMD EPYC; not found in public trackers (searched 2026-11)",
    links=("https://github.com/pytorch/xla/blob/v2.9.0/torch_xla/csrc/reduction.cpp",),
    packages={"xla-cpu": ">=2.9"},
    dtypes=("bfloat16",),
    trigger=adds_up_in_bfloat16,
    stage=Stage.COMPARE,
    workarounds=(),
    minimal_cases=(
        MinimalCase(
            name="mean-of-an-image",
            title="the mean of 32 x 32 values",
            build=lambda: calls(lambda x: x.mean((2, 3))),
            inputs=_inputs,
            batch=2,
            status=Status.WRONG,
            wrong_images=(0, 1),
            workarounds=(),
            dtype="bfloat16",
        ),
    ),
)
