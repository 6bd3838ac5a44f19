"""All known defects, and what triggers them in an exported graph."""

from __future__ import annotations

from collections.abc import Mapping
from operator import attrgetter
from typing import TYPE_CHECKING

from conformance.core.deferred import torch
from conformance.core.errors import check
from conformance.core.loading import collected
from conformance.defects.as_strided import AS_STRIDED
from conformance.defects.auto_cast_nan import AUTO_CAST_NAN
from conformance.defects.batch4_split import BATCH4_SPLIT
from conformance.defects.batch_256 import BATCH_256
from conformance.defects.clamp_infinity import CLAMP_INFINITY
from conformance.defects.complex_numbers import COMPLEX_NUMBERS
from conformance.defects.conv3d import CONV3D
from conformance.defects.defect import Defect
from conformance.defects.depthwise_transposed import DEPTHWISE_TRANSPOSED
from conformance.defects.dilated_convolution import DILATED_CONVOLUTION
from conformance.defects.dilated_pool import DILATED_POOL
from conformance.defects.dilated_transposed import DILATED_TRANSPOSED
from conformance.defects.frozen_fallback import FROZEN_FALLBACK
from conformance.defects.multiply_reduce import MULTIPLY_REDUCE
from conformance.defects.onnxruntime_ceil import ONNXRUNTIME_CEIL
from conformance.defects.onnxruntime_pad_pool import ONNXRUNTIME_PAD_MAX, ONNXRUNTIME_PAD_POOL
from conformance.defects.onnxruntime_transposed import ONNXRUNTIME_TRANSPOSED
from conformance.defects.openvino_avg_pool import OPENVINO_AVG_POOL, OPENVINO_POOL
from conformance.defects.openvino_constants import OPENVINO_CONSTANTS
from conformance.defects.openvino_convolution import OPENVINO_CONVOLUTION
from conformance.defects.openvino_dividend import OPENVINO_DIVIDEND
from conformance.defects.openvino_gather import OPENVINO_GATHER
from conformance.defects.openvino_reduce import OPENVINO_REDUCE
from conformance.defects.openvino_resize import OPENVINO_RESIZE
from conformance.defects.openvino_rounding import OPENVINO_ROUNDING
from conformance.defects.openvino_unsqueeze import OPENVINO_UNSQUEEZE
from conformance.defects.openvino_variance import OPENVINO_VARIANCE
from conformance.defects.parameter_fallback import PARAMETER_FALLBACK
from conformance.defects.replicate_pad import REPLICATE_PAD
from conformance.defects.reported import reported
from conformance.defects.resize_bilinear import RESIZE_BILINEAR
from conformance.defects.resize_nearest import RESIZE_NEAREST
from conformance.defects.resize_scale import RESIZE_SCALE
from conformance.defects.sbuf import SBUF
from conformance.defects.sort import SORT
from conformance.defects.split_with_sizes import SPLIT_WITH_SIZES
from conformance.defects.topk_integers import TOPK_INTEGERS
from conformance.defects.topk_large import TOPK_LARGE
from conformance.defects.views_refused import VIEWS_REFUSED
from conformance.defects.windows_strides import WINDOWS_STRIDES
from conformance.defects.xla_half import XLA_MEAN, XLA_NORM
from conformance.defects.xla_pool import XLA_POOL
from conformance.defects.xla_resize import XLA_RESIZE, XLA_RESIZE_BFLOAT16
from conformance.defects.xla_transposed import XLA_TRANSPOSED

if TYPE_CHECKING:
    from torch.fx import Graph, Node

# In the order that they are listed in; behind them those of other packages, by their entry points.
_OWN = (
    SPLIT_WITH_SIZES,
    AS_STRIDED,
    RESIZE_SCALE,
    VIEWS_REFUSED,
    PARAMETER_FALLBACK,
    FROZEN_FALLBACK,
    TOPK_INTEGERS,
    TOPK_LARGE,
    SORT,
    SBUF,
    BATCH4_SPLIT,
    DILATED_POOL,
    DILATED_TRANSPOSED,
    DEPTHWISE_TRANSPOSED,
    COMPLEX_NUMBERS,
    REPLICATE_PAD,
    CONV3D,
    WINDOWS_STRIDES,
    BATCH_256,
    RESIZE_BILINEAR,
    RESIZE_NEAREST,
    DILATED_CONVOLUTION,
    MULTIPLY_REDUCE,
    CLAMP_INFINITY,
    AUTO_CAST_NAN,
    *reported(),
    XLA_RESIZE,
    XLA_RESIZE_BFLOAT16,
    XLA_NORM,
    XLA_MEAN,
    XLA_POOL,
    XLA_TRANSPOSED,
    ONNXRUNTIME_TRANSPOSED,
    ONNXRUNTIME_CEIL,
    ONNXRUNTIME_PAD_MAX,
    ONNXRUNTIME_PAD_POOL,
    OPENVINO_AVG_POOL,
    OPENVINO_POOL,
    OPENVINO_CONSTANTS,
    OPENVINO_CONVOLUTION,
    OPENVINO_DIVIDEND,
    OPENVINO_GATHER,
    OPENVINO_REDUCE,
    OPENVINO_RESIZE,
    OPENVINO_ROUNDING,
    OPENVINO_UNSQUEEZE,
    OPENVINO_VARIANCE,
)


DEFECTS: dict[str, Defect] = collected("defect", Defect, _OWN, attrgetter("id"))


def known_defect(name: str) -> Defect:
    """The defect of this id. Raises UserError."""
    return DEFECTS[check("defect", name, DEFECTS)]


def find(
    graph: Graph,
    packages: Mapping[str, str],
    workarounds: tuple[str, ...],
    hardware: str | None = None,
    dtype: str | None = None,
) -> list[tuple[Defect, Node]]:
    """Every node of an exported graph, and of those inside it, at which a target of these package versions is known
    to go wrong, on any hardware and at any dtype, or on a family and at one."""
    known = present(packages, workarounds, hardware, dtype)
    return [(defect, node) for node in nodes_of(graph) for defect in known if defect.triggered_at(node, workarounds)]


def nodes_of(graph: Graph) -> list[Node]:
    """The nodes of a graph, and of the graphs that it calls: torch.autocast in a model makes one."""
    owner = graph.owning_module
    inner = (
        [part.graph for part in owner.modules() if isinstance(part, torch.fx.GraphModule)]
        if owner is not None
        else [graph]
    )
    return [node for one in inner for node in one.nodes]


def present(
    packages: Mapping[str, str],
    workarounds: tuple[str, ...],
    hardware: str | None = None,
    dtype: str | None = None,
) -> list[Defect]:
    """The defects that a target of these package versions is known to have: see `Defect.affects`."""
    return [defect for defect in DEFECTS.values() if defect.affects(packages, workarounds, hardware, dtype)]
