"""The same values in another shape or order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod

from hypothesis import strategies as st
from torch import Tensor

from conformance.properties.elementwise import signed
from conformance.properties.operator import MOST_DIMENSIONS, Arguments, Method, OpSpec, Shaped, divisors


def _runs_on(x: Shaped, dim: int) -> bool:
    """Whether a dimension and the next lie in memory as one, in every layout."""
    for layout in (x.plain, x.turned):
        size, step, next_size, next_step = *_dimension(layout, dim), *_dimension(layout, dim + 1)
        if 1 in (size, next_size) or step != next_size * next_step:
            return False
    return True


def _dimension(layout: Tensor, dim: int) -> tuple[int, int]:
    return layout.shape[dim], layout.stride(dim)


def _joins(x: Shaped, views: bool) -> list[int]:
    """Dimensions that can be joined with the next one."""
    return [dim for dim in range(x.rank - 1) if dim + 1 != x.axis and (not views or _runs_on(x, dim))]


@st.composite
def _factors(draw: st.DrawFn, number: int, most: int) -> list[int]:
    """Numbers whose product is a number, in order; at most so many."""
    factors: list[int] = []
    while len(factors) < most - 1 and number > 1 and draw(st.booleans()):
        factor = draw(st.sampled_from(divisors(number)))
        factors.append(factor)
        number //= factor
    return [*factors, number]


@st.composite
def _regroupings(draw: st.DrawFn, values: Sequence[Shaped], views: bool) -> Arguments:
    """Neighbours joined, and what they are joined to split again. -1 stands for the batch."""
    (x,) = values
    joined = {dim for dim in _joins(x, views) if draw(st.booleans())}
    groups: list[list[int]] = []
    for dim in range(x.rank):
        if dim - 1 in joined:
            groups[-1].append(dim)
        else:
            groups.append([dim])
    shape: list[int] = []
    for group in groups:
        left = MOST_DIMENSIONS - len(shape) - (len(groups) - groups.index(group) - 1)
        per_image = [x.each if dim == x.axis else x.shape[dim] for dim in group]
        factors = draw(_factors(prod(per_image), max(left, 1)))
        shape += [-1, *factors[1:]] if x.axis in group else factors
    return {"shape": tuple(shape)}


def _regrouped(x: Shaped, arguments: Arguments) -> tuple[int, int]:
    shape = arguments["shape"]
    axis = shape.index(-1)
    images = x.shape[x.axis] // x.each
    rest = prod(size for size in shape if size != -1)
    return axis, prod(x.shape) // rest // images


def _regroups(views: bool) -> Callable[[Sequence[Shaped]], st.SearchStrategy[Arguments]]:
    return lambda values: _regroupings(values, views)


@st.composite
def _permutations(draw: st.DrawFn, values: Sequence[Shaped]) -> Arguments:
    (x,) = values
    return {"dims": tuple(draw(st.permutations(range(x.rank))))}


@st.composite
def _swaps(draw: st.DrawFn, values: Sequence[Shaped]) -> Arguments:
    (x,) = values
    first = draw(st.integers(0, x.rank - 2))
    second = draw(st.integers(first + 1, x.rank - 1))
    return {"dim0": draw(signed(x, first)), "dim1": draw(signed(x, second))}


def _permuted(x: Shaped, arguments: Arguments) -> tuple[int, int]:
    dims = arguments["dims"]
    return dims.index(x.axis), x.each


def _swapped(x: Shaped, arguments: Arguments) -> tuple[int, int]:
    first, second = (arguments[name] % x.rank for name in ("dim0", "dim1"))
    return {first: second, second: first}.get(x.axis, x.axis), x.each


@st.composite
def _flattenings(draw: st.DrawFn, values: Sequence[Shaped]) -> Arguments:
    """From a dimension to another; from the batch on, or behind it."""
    (x,) = values
    start = draw(st.sampled_from([dim for dim in range(x.rank - 1) if dim >= x.axis]))
    end = draw(st.integers(start + 1, x.rank - 1))
    return {"start_dim": draw(signed(x, start)), "end_dim": draw(signed(x, end))}


def _flattened(x: Shaped, arguments: Arguments) -> tuple[int, int]:
    start, end = (arguments[name] % x.rank for name in ("start_dim", "end_dim"))
    return x.axis, x.each * (prod(x.shape[start + 1 : end + 1]) if start == x.axis else 1)


@st.composite
def _unflattenings(draw: st.DrawFn, values: Sequence[Shaped]) -> Arguments:
    (x,) = values
    dim = draw(st.sampled_from(x.own))
    sizes = draw(_factors(x.shape[dim], MOST_DIMENSIONS - x.rank + 1))
    return {"dim": draw(signed(x, dim)), "sizes": tuple(sizes)}


def _unflattened(x: Shaped, arguments: Arguments) -> tuple[int, int]:
    dim, sizes = arguments["dim"], arguments["sizes"]
    return x.axis + (len(sizes) - 1 if dim % x.rank < x.axis else 0), x.each


@st.composite
def _new_dims(draw: st.DrawFn, values: Sequence[Shaped]) -> Arguments:
    (x,) = values
    return {"dim": draw(st.integers(0, x.rank))}


@st.composite
def _dims_of_one(draw: st.DrawFn, values: Sequence[Shaped]) -> Arguments:
    (x,) = values
    return {"dim": draw(signed(x, draw(st.sampled_from(_ones(x)))))}


def _ones(x: Shaped) -> list[int]:
    return [dim for dim in x.own if x.shape[dim] == 1]


def unsqueezed(x: Shaped, arguments: Arguments) -> tuple[int, int]:
    """Where the batch is beside a new dimension."""
    return x.axis + (arguments["dim"] <= x.axis), x.each


def squeezed(x: Shaped, arguments: Arguments) -> tuple[int, int]:
    """Where the batch is when a dimension is gone."""
    return x.axis - (arguments["dim"] % x.rank < x.axis), x.each


@st.composite
def _flips(draw: st.DrawFn, values: Sequence[Shaped]) -> Arguments:
    (x,) = values
    return {"dims": (draw(signed(x, draw(st.sampled_from(x.own)))),)}


@st.composite
def _rolls(draw: st.DrawFn, values: Sequence[Shaped]) -> Arguments:
    (x,) = values
    dim = draw(st.sampled_from(x.own))
    return {"shifts": draw(st.integers(-2, 2)), "dims": draw(signed(x, dim))}


def _has_own(x: Shaped) -> bool:
    return x.rank > 1


VIEWS = (
    OpSpec("view", Method("view", ("shape",)), arguments=_regroups(True), batch=_regrouped, moves=True, weight=2),
    OpSpec(
        "reshape", Method("reshape", ("shape",)), arguments=_regroups(False), batch=_regrouped, moves=True, weight=2
    ),
    OpSpec("permute", Method("permute", ("dims",)), arguments=_permutations, batch=_permuted, moves=True, weight=2),
    OpSpec(
        "transpose",
        Method("transpose", ("dim0", "dim1")),
        accepts=_has_own,
        arguments=_swaps,
        batch=_swapped,
        moves=True,
    ),
    OpSpec(
        "flatten",
        Method("flatten", ("start_dim", "end_dim")),
        accepts=lambda x: x.axis < x.rank - 1,
        arguments=_flattenings,
        batch=_flattened,
        moves=True,
    ),
    OpSpec(
        "unflatten",
        Method("unflatten", ("dim", "sizes")),
        accepts=_has_own,
        arguments=_unflattenings,
        batch=_unflattened,
        moves=True,
    ),
    OpSpec(
        "unsqueeze",
        Method("unsqueeze", ("dim",)),
        accepts=lambda x: x.rank < MOST_DIMENSIONS,
        arguments=_new_dims,
        batch=unsqueezed,
        moves=True,
    ),
    OpSpec(
        "squeeze",
        Method("squeeze", ("dim",)),
        accepts=lambda x: bool(_ones(x)),
        arguments=_dims_of_one,
        batch=squeezed,
        moves=True,
    ),
    OpSpec("contiguous", Method("contiguous"), moves=True),
    OpSpec("flip", Method("flip", ("dims",)), accepts=_has_own, arguments=_flips, moves=True),
    OpSpec("roll", Method("roll", ("shifts", "dims")), accepts=_has_own, arguments=_rolls, moves=True),
)
