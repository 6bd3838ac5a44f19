"""Faults of single operators: another function, another argument, or none at all."""

from __future__ import annotations

from math import prod
from random import Random
from typing import Any

from torch.fx import Node

from benchmarks.power import corruptions as wrong
from benchmarks.power.edits import (
    PRODUCTS,
    Edit,
    Fault,
    in_bfloat16,
    instead,
    kind,
    reordered,
    repeated,
    tensor,
    with_argument,
    without,
)
from benchmarks.power.sites import Site
from conformance.defects.split_with_sizes import split_densely, splits_across_rows
from conformance.graphs.fx_match import arguments, operator
from conformance.graphs.graph import Kind

# How many operators there may be between the scale of an attention and its softmax.
_NEAR = 6


def bfloat16(site: Site, random: Random) -> Fault | None:
    """One convolution or product, all of a layer, or all there are."""
    if kind(site.node) not in PRODUCTS:
        return None
    scope = random.choice(("operator", "operator", "layer", "model"))
    if scope == "layer" and site.layer:
        return Fault("all convolutions and products", in_bfloat16(layer=site.layer), where=site.layer)
    if scope == "model":
        return Fault("all convolutions and products", in_bfloat16(everywhere=True), where="the whole model")
    return Fault("one operator", in_bfloat16())


def dense_split(site: Site, random: Random) -> Fault | None:
    """Of a split into sizes or into chunks that does not run over the first dimension there is."""
    if splits_across_rows(site.node):
        return Fault("pieces read from the flat buffer", instead(split_densely))
    if operator(site.node) != "chunk" or (whole := tensor(site.fed[0])) is None:
        return None
    if prod(whole.shape[: arguments(site.node)["dim"] % whole.dim()]) == 1:
        return None
    return Fault("chunks read from the flat buffer", instead(wrong.chunks_read_densely))


def dense_transpose(site: Site, random: Random) -> Fault | None:
    """The values stay where they were."""
    functions = {"permute": wrong.permuted_densely, "transpose": wrong.transposed_densely}
    function: Any = functions.get(operator(site.node))
    return Fault("strides ignored", instead(function)) if function is not None else None


def dropped_residual(site: Site, random: Random) -> Fault | None:
    """Of a sum of two, one."""
    if operator(site.node) not in ("add", "add_") or len(site.fed) != 2 or not _alike(site, *site.fed):
        return None
    kept, lost = random.sample(site.fed, 2)
    return Fault(f"{lost.name} is not added", without(site.node.all_input_nodes.index(kept)))


def dropped_operator(site: Site, random: Random) -> Fault | None:
    """One that gives the shape it is given, and is not only another view of it."""
    if len(site.fed) != 1 or not _alike(site, site.fed[0]) or _is_view(site.node):
        return None
    return Fault(f"no {operator(site.node)}", _only_fed(site))


def dropped_bias(site: Site, random: Random) -> Fault | None:
    """Of a convolution."""
    has_one = kind(site.node) == Kind.CONV and len(site.node.args) > 2 and site.node.args[2] is not None
    return Fault("no bias", with_argument(2, None)) if has_one else None


def concatenation(site: Site, random: Random) -> Fault | None:
    """Of the parts in their order, another order."""
    parts = site.node.args[0] if site.node.args else None
    if operator(site.node) != "cat" or not isinstance(parts, (list, tuple)) or len(parts) < 2:
        return None
    order = random.sample(range(len(parts)), len(parts))
    if order == sorted(order):
        order.reverse()
    return Fault(f"parts in the order {order}", reordered(order))


def upsample(site: Site, random: Random) -> Fault | None:
    """Of nearest neighbours, three other ways."""
    if operator(site.node) != "upsample_nearest2d":
        return None
    ways = (wrong.upsampled_smoothly, wrong.upsampled_late, wrong.upsampled_by_tiling)
    way = random.choice(ways)
    return Fault(way.__name__.replace("_", " "), instead(way))


def attention_scale(site: Site, random: Random) -> Fault | None:
    """A factor that a softmax is soon to follow: left out, or twice."""
    number = site.node.args[1] if len(site.node.args) > 1 else None
    if operator(site.node) not in ("mul", "div") or not isinstance(number, (int, float)):
        return None
    if not _softmax_follows(site.node, _NEAR):
        return None
    if random.random() < 0.5:
        return Fault(f"no factor {number:.4g}", _only_fed(site))
    return Fault(f"factor {number:.4g} twice", repeated)


def softmax_axis(site: Site, random: Random) -> Fault | None:
    """Along another dimension, but not over the images."""
    if kind(site.node) != Kind.SOFTMAX or site.shape is None:
        return None
    dim: Any = site.node.args[1]
    others = [other for other in range(1, len(site.shape)) if other != dim % len(site.shape)]
    if not others:
        return None
    other = random.choice(others)
    return Fault(f"over {other} instead of {dim % len(site.shape)}", with_argument(1, other))


def _only_fed(site: Site) -> Edit:
    return without(site.node.all_input_nodes.index(site.fed[0]))


def _alike(site: Site, *nodes: Node) -> bool:
    """Whether these give tensors of the shape that the site gives."""
    values = [tensor(node) for node in nodes]
    return site.shape is not None and all(value is not None and tuple(value.shape) == site.shape for value in values)


def _is_view(node: Node) -> bool:
    """Whether it gives what it is given in another view, and writes nothing."""
    schema = getattr(node.target, "_schema", None)
    if schema is None:
        return True
    return any(value.alias_info is not None and not value.alias_info.is_write for value in schema.returns)


def _softmax_follows(node: Node, steps: int) -> bool:
    return steps > 0 and any(
        kind(user) == Kind.SOFTMAX or (kind(user) != Kind.CONV and _softmax_follows(user, steps - 1))
        for user in node.users
    )
