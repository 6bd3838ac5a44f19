"""What torch-xla 2.9 has no lowering for, and leaves to the CPU while a model is traced."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.defects.dilated_pool import pools_dilated
from conformance.defects.small import arguments, is_constant, operator

if TYPE_CHECKING:
    from torch.fx import Node

# Of 90 operators of vision models those that torch_xla.debug.metrics.executed_fallback_ops() names; torch-xla 2.9.0.
_ALWAYS = (
    "upsample_linear1d", "upsample_nearest1d", "upsample_nearest3d", "upsample_bicubic2d", "_upsample_bilinear2d_aa",
    "_upsample_nearest_exact2d", "grid_sampler", "channel_shuffle", "im2col", "col2im", "unfold", "median",
    "logcumsumexp", "linalg_cross", "deform_conv2d", "roi_align", "_weight_norm", "_weight_norm_interface",
)  # fmt: skip


def left_to_the_cpu(node: Node) -> bool:
    """Whether the node is such an operator: pooling only with a dilation, or to sizes that do not divide."""
    name = operator(node)
    if pools_dilated(node):
        return True
    if name.startswith("adaptive_"):
        wanted = arguments(node)["output_size"]
        given = node.all_input_nodes[0].meta["val"].shape[-len(wanted) :]
        return any(have % want for have, want in zip(given, wanted, strict=True))
    return name in _ALWAYS


def of_parameters_alone(node: Node) -> bool:
    """Whether what it is applied to are parameters, buffers and constants."""
    return all(map(is_constant, node.all_input_nodes))
