"""Activations, broadcasts and reductions."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from hypothesis import strategies as st

from conformance.properties.operator import Arguments, Function, Infix, Method, OpSpec, Shaped, Weight

_LONGEST_SUM = 256  # longer ones are a matter of the order of summation


def _clamps(values: Sequence[Shaped]) -> st.SearchStrategy[Arguments]:
    bounds = [{"min": 0.0}, {"max": 0.5}, {"min": -0.5, "max": 0.5}, {"min": 0.0, "max": 6.0}, {"min": -1.0}]
    return st.sampled_from(bounds).map(dict)


def signed(value: Shaped, dim: int) -> st.SearchStrategy[int]:
    """A dimension, counted from the front or from the end."""
    return st.sampled_from([dim, dim - value.rank])


@st.composite
def _softmaxes(draw: st.DrawFn, values: Sequence[Shaped]) -> Arguments:
    (x,) = values
    dim = draw(st.sampled_from([dim for dim in x.own if x.shape[dim] > 1]))
    return {"dim": draw(signed(x, dim))}


@st.composite
def _reductions(draw: st.DrawFn, values: Sequence[Shaped]) -> Arguments:
    (x,) = values
    dims = [draw(st.sampled_from(x.own))]
    if draw(st.booleans()):
        dims = sorted({*dims, draw(st.sampled_from(x.own))})
    if prod(x.shape[dim] for dim in dims) > _LONGEST_SUM or len(dims) == x.rank - 1:
        dims = dims[:1]
    keep = draw(st.booleans()) or x.rank - len(dims) < 2
    return {"dim": tuple(draw(signed(x, dim)) for dim in dims), "keepdim": keep}


def _without(value: Shaped, arguments: Arguments) -> tuple[int, int]:
    """Where the batch is when dimensions are gone."""
    dims = arguments["dim"]
    before = sum(dim % value.rank < value.axis for dim in dims)
    return value.axis - (0 if arguments["keepdim"] else before), value.each


def broadcasts(x: Shaped, y: Shaped) -> bool:
    """Whether two values can be multiplied: the batch at one place, other dimensions equal or 1."""
    if (x.rank, x.axis, x.each) != (y.rank, y.axis, y.each):
        return False
    pairs = list(zip(x.shape, y.shape, strict=True))
    fits = all(a == b or (1 in (a, b) and dim != x.axis) for dim, (a, b) in enumerate(pairs))
    return fits and x.can_grow(prod(max(b // a, 1) for a, b in pairs))


@st.composite
def _along(draw: st.DrawFn, values: Sequence[Shaped]) -> Arguments:
    (x,) = values
    return {"dim": draw(st.sampled_from(x.own))}


def _factors(shapes: Sequence[tuple[int, ...]], arguments: Arguments) -> dict[str, Weight]:
    """A factor for every place along one dimension."""
    dim = arguments["dim"]
    return {"scale": Weight(tuple(n if i == dim else 1 for i, n in enumerate(shapes[0])))}


def _statistics(shapes: Sequence[tuple[int, ...]], arguments: Arguments) -> dict[str, Weight]:
    """Running mean and variance of every channel."""
    channels = (shapes[0][1],)
    return {"mean": Weight(channels), "variance": Weight(channels, positive=True)}


ELEMENTWISE = (
    *(OpSpec(name, Function(f"F.{name}")) for name in ("relu", "silu", "mish", "hardswish")),
    *(OpSpec(name, Method(name)) for name in ("sigmoid", "tanh")),
    OpSpec("clamp", Method("clamp"), arguments=_clamps),
    OpSpec("leaky_relu", Function("F.leaky_relu"), arguments=lambda _: st.just({"negative_slope": 0.125})),
    OpSpec(
        "gelu",
        Function("F.gelu"),
        arguments=lambda _: st.sampled_from(["none", "tanh"]).map(lambda form: {"approximate": form}),
    ),
    OpSpec(
        "softmax",
        Function("torch.softmax"),
        accepts=lambda x: any(x.shape[dim] > 1 for dim in x.own),
        arguments=_softmaxes,
    ),
    *(
        OpSpec(name, Method(name), accepts=lambda x: x.rank > 1, arguments=_reductions, batch=_without)
        for name in ("sum", "mean", "amax")
    ),
    OpSpec("add", Infix("+"), partner=broadcasts),
    OpSpec("multiply", Infix("*"), partner=broadcasts),
    OpSpec("scale", Infix("*"), accepts=lambda x: 1 < x.rank <= 4, arguments=_along, weights=_factors),
    OpSpec(
        "batch_norm",
        Function("F.batch_norm"),
        accepts=lambda x: x.rank in (3, 4) and x.axis == 0,
        weights=_statistics,
    ),
)
