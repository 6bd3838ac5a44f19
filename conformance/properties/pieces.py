"""Parts of a value, in every spelling, and values put together."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from hypothesis import strategies as st
from torch import Tensor

from conformance.properties.elementwise import signed
from conformance.properties.operator import MOST_DIMENSIONS, Arguments, Function, Method, OpSpec, Shaped
from conformance.properties.views import squeezed, unsqueezed

_MOST_PIECES = 4


def _long(x: Shaped) -> list[int]:
    """The dimensions that can be cut."""
    return [dim for dim in x.own if x.shape[dim] > 1]


def _can_be_cut(x: Shaped) -> bool:
    return bool(_long(x))


@st.composite
def _cuts(draw: st.DrawFn, size: int) -> list[int]:
    """Where a dimension is cut into two to four pieces, none of them empty."""
    first = draw(st.integers(1, size - 1))
    cuts = [first]
    while len(cuts) < _MOST_PIECES - 1 and cuts[-1] < size - 1 and draw(st.booleans()):
        cuts.append(draw(st.integers(cuts[-1] + 1, size - 1)))
    return cuts


@st.composite
def _sizes(draw: st.DrawFn, values: Sequence[Shaped]) -> Arguments:
    (x,) = values
    dim = draw(st.sampled_from(_long(x)))
    cuts = [0, *draw(_cuts(x.shape[dim])), x.shape[dim]]
    return {
        "split_size": tuple(b - a for a, b in pairwise(cuts)),
        "dim": draw(signed(x, dim)),
    }


@st.composite
def _size(draw: st.DrawFn, values: Sequence[Shaped]) -> Arguments:
    (x,) = values
    dim = draw(st.sampled_from(_long(x)))
    least = -(-x.shape[dim] // _MOST_PIECES)
    return {"split_size": draw(st.integers(least, x.shape[dim] - 1)), "dim": draw(signed(x, dim))}


@st.composite
def _chunks(draw: st.DrawFn, values: Sequence[Shaped]) -> Arguments:
    (x,) = values
    dim = draw(st.sampled_from(_long(x)))
    return {"chunks": draw(st.integers(2, min(_MOST_PIECES, x.shape[dim]))), "dim": draw(signed(x, dim))}


@st.composite
def _sections(draw: st.DrawFn, values: Sequence[Shaped]) -> Arguments:
    (x,) = values
    dim = draw(st.sampled_from(_long(x)))
    cuts = tuple(draw(_cuts(x.shape[dim])))
    return {"indices": cuts, "dim": draw(signed(x, dim))}


@st.composite
def _ranges(draw: st.DrawFn, values: Sequence[Shaped]) -> Arguments:
    (x,) = values
    dim = draw(st.sampled_from(_long(x)))
    start = draw(st.integers(0, x.shape[dim] - 1))
    end = draw(st.integers(start + 1, x.shape[dim]))
    return {"dim": dim, "start": start, "end": end, "step": draw(st.sampled_from([1, 2, 3]))}


@st.composite
def _narrows(draw: st.DrawFn, values: Sequence[Shaped]) -> Arguments:
    (x,) = values
    dim = draw(st.sampled_from(_long(x)))
    start = draw(st.integers(0, x.shape[dim] - 1))
    return {"dim": draw(signed(x, dim)), "start": start, "length": draw(st.integers(1, x.shape[dim] - start))}


@st.composite
def _one(draw: st.DrawFn, values: Sequence[Shaped]) -> Arguments:
    (x,) = values
    dim = draw(st.sampled_from(x.own))
    return {"dim": draw(signed(x, dim)), "index": draw(st.integers(0, x.shape[dim] - 1))}


def _few(x: Shaped) -> list[int]:
    return [dim for dim in x.own if x.shape[dim] <= _MOST_PIECES]


@st.composite
def _unbindings(draw: st.DrawFn, values: Sequence[Shaped]) -> Arguments:
    (x,) = values
    return {"dim": draw(signed(x, draw(st.sampled_from(_few(x)))))}


class Slice:
    """`a[:, 1:5:2]`."""

    def call(self, values: Sequence[Tensor], arguments: Arguments) -> Any:
        """Cut it out."""
        part: Any = slice(arguments["start"], arguments["end"], arguments["step"])
        return values[0][(slice(None),) * arguments["dim"] + (part,)]

    def source(self, names: Sequence[str], arguments: Arguments) -> str:
        """Spell it."""
        part = f"{arguments['start']}:{arguments['end']}"
        part += f":{arguments['step']}" if arguments["step"] != 1 else ""
        return f"{names[0]}[{':, ' * arguments['dim']}{part}]"


def _differ_in(x: Shaped, y: Shaped) -> list[int]:
    return [dim for dim in range(x.rank) if x.shape[dim] != y.shape[dim]]


def _can_be_joined(x: Shaped, y: Shaped) -> bool:
    """Whether all but one dimension is the same, and that not the batch."""
    if (x.rank, x.axis, x.each) != (y.rank, y.axis, y.each) or x.rank < 2 or not (x.can_grow(4) and y.can_grow(4)):
        return False
    differ = _differ_in(x, y)
    return len(differ) <= 1 and x.axis not in differ


@st.composite
def _joints(draw: st.DrawFn, values: Sequence[Shaped]) -> Arguments:
    x = values[0]
    differ = {dim for y in values for dim in _differ_in(x, y)}
    dim = draw(st.sampled_from(sorted(differ) or x.own))
    return {"dim": draw(signed(x, dim))}


def _can_be_stacked(x: Shaped, y: Shaped) -> bool:
    same = (x.shape, x.axis, x.each) == (y.shape, y.axis, y.each)
    return same and x.rank < MOST_DIMENSIONS and x.can_grow(4)


@st.composite
def _stackings(draw: st.DrawFn, values: Sequence[Shaped]) -> Arguments:
    return {"dim": draw(st.integers(0, values[0].rank))}


PIECES = (
    OpSpec(
        "split",
        Method("split", ("split_size",)),
        accepts=_can_be_cut,
        arguments=_sizes,
        moves=True,
        many=True,
        weight=4,
    ),
    OpSpec(
        "split_evenly", Method("split", ("split_size",)), accepts=_can_be_cut, arguments=_size, moves=True, many=True
    ),
    OpSpec("chunk", Method("chunk", ("chunks",)), accepts=_can_be_cut, arguments=_chunks, moves=True, many=True),
    OpSpec(
        "tensor_split",
        Method("tensor_split", ("indices",)),
        accepts=_can_be_cut,
        arguments=_sections,
        moves=True,
        many=True,
    ),
    OpSpec("slice", Slice(), accepts=_can_be_cut, arguments=_ranges, moves=True),
    OpSpec("narrow", Function("torch.narrow"), accepts=_can_be_cut, arguments=_narrows, moves=True),
    OpSpec(
        "select",
        Method("select", ("dim", "index")),
        accepts=lambda x: x.rank > 2,
        arguments=_one,
        batch=squeezed,
        moves=True,
    ),
    OpSpec(
        "unbind",
        Method("unbind", ("dim",)),
        accepts=lambda x: x.rank > 2 and bool(_few(x)),
        arguments=_unbindings,
        batch=squeezed,
        moves=True,
        many=True,
    ),
    OpSpec(
        "cat",
        Function("torch.cat", as_list=True),
        partner=_can_be_joined,
        most_partners=2,
        arguments=_joints,
        weight=2,
    ),
    OpSpec(
        "stack",
        Function("torch.stack", as_list=True),
        partner=_can_be_stacked,
        most_partners=2,
        arguments=_stackings,
        batch=unsqueezed,
    ),
)
