"""Which of torch's operators is of which kind, by the name of its schema: `aten::convolution`."""

from __future__ import annotations

from conformance.graphs.graph import Kind

_NAMES = {
    Kind.CONV: "convolution _convolution conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d",
    Kind.MATMUL: "mm bmm addmm baddbmm matmul linear einsum mv addmv",
    Kind.SOFTMAX: "softmax _softmax log_softmax _log_softmax _safe_softmax",
    Kind.NORM: "batch_norm native_batch_norm _native_batch_norm_legit_no_training layer_norm native_layer_norm "
    "group_norm native_group_norm instance_norm rms_norm _fused_rms_norm",
    Kind.TOPK: "topk sort argsort",
    Kind.NMS: "nms",
}
_KINDS = {name: kind for kind, names in _NAMES.items() for name in names.split()}
# Of the tensor that they are given first, only the shape counts.
_SHAPED = ("zero", "zero_", "fill", "fill_", "new_zeros", "new_ones", "new_full", "new_empty", "new_empty_strided")


def kind_of(schema: str) -> Kind | None:
    """The kind of an operator of torch; None for one that is not compared."""
    name = schema.rpartition("::")[2]
    if "scaled_dot_product" in name:
        return Kind.ATTENTION
    if name.startswith(("upsample_", "_upsample_")):
        return Kind.RESIZE
    return _KINDS.get(name)


def gives_shape_alone(schema: str) -> bool:
    """Whether what an operator of torch gives depends on the shape of its first tensor, and not on its values."""
    name = schema.rpartition("::")[2]
    return name.endswith("_like") or name in _SHAPED
