"""Products of matrices, ranking and looking up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st
from torch import Tensor

from conformance.properties.elementwise import signed
from conformance.properties.operator import Arguments, Function, Infix, Method, OpSpec, Shaped, Weight, spelled

_MOST_FEATURES = 8


def _can_be_multiplied(x: Shaped, y: Shaped) -> bool:
    """Whether they are stacks of matrices, of one length, that can be multiplied."""
    return _stacked_alike(x, y) and x.shape[-1] == y.shape[-2] and x.can_grow(y.shape[-1])


def _can_attend(x: Shaped, y: Shaped) -> bool:
    """Whether the first can be multiplied with the second transposed, as queries with keys."""
    return _stacked_alike(x, y) and x.shape[-1] == y.shape[-1] and x.can_grow(y.shape[-2])


def _stacked_alike(x: Shaped, y: Shaped) -> bool:
    """Whether they are stacks of matrices, of one length, the batch being a part of the stack."""
    if x.rank < 3 or x.axis >= x.rank - 2 or (x.axis, x.each) != (y.axis, y.each):
        return False
    return x.shape[:-2] == y.shape[:-2]


class Attend:
    """`a @ b.transpose(-2, -1)`."""

    def call(self, values: Sequence[Tensor], arguments: Arguments) -> Any:
        """Multiply."""
        return values[0] @ values[1].transpose(-2, -1)

    def source(self, names: Sequence[str], arguments: Arguments) -> str:
        """Spell it."""
        return f"{names[0]} @ {names[1]}.transpose(-2, -1)"


def _linear(shapes: Sequence[tuple[int, ...]], arguments: Arguments) -> dict[str, Weight]:
    features, width = arguments["features"], shapes[0][-1]
    return {"weight": Weight((features, width), scale=round(width**-0.5, 3)), "bias": Weight((features,))}


@st.composite
def _best(draw: st.DrawFn, values: Sequence[Shaped]) -> Arguments:
    x = values[0]
    dim = draw(st.sampled_from(x.own))
    return {
        "k": draw(st.integers(1, x.shape[dim])),
        "dim": draw(signed(x, dim)),
        "largest": draw(st.booleans()),
    }


@st.composite
def _orders(draw: st.DrawFn, values: Sequence[Shaped]) -> Arguments:
    (x,) = values
    return {"dim": draw(signed(x, draw(st.sampled_from(x.own)))), "descending": draw(st.booleans())}


class GatherBest:
    """`b.gather(1, a.topk(3, dim=1).indices)`: of one value the places where another is largest."""

    _topk = Method("topk", ("k",), then="indices")

    def call(self, values: Sequence[Tensor], arguments: Arguments) -> Any:
        """Rank and look up."""
        return values[1].gather(arguments["dim"], self._topk.call(values[:1], arguments))

    def source(self, names: Sequence[str], arguments: Arguments) -> str:
        """Spell it."""
        return f"{names[1]}.gather({arguments['dim']}, {self._topk.source(names[:1], arguments)})"


@st.composite
def _lookups(draw: st.DrawFn, values: Sequence[Shaped]) -> Arguments:
    (x,) = values
    dim = draw(st.sampled_from(x.own))
    return {"dim": dim, "count": draw(st.integers(1, x.shape[dim]))}


def _index(shapes: Sequence[tuple[int, ...]], arguments: Arguments) -> dict[str, Weight]:
    dim, count = arguments["dim"], arguments["count"]
    return {"index": Weight((count,), below=shapes[0][dim])}


def _indices(shapes: Sequence[tuple[int, ...]], arguments: Arguments) -> dict[str, Weight]:
    """An index for every place of an image; the same for all images."""
    dim, count = arguments["dim"], arguments["count"]
    shape = [1, *shapes[0][1:]]
    shape[dim] = count
    return {"index": Weight(tuple(shape), below=shapes[0][dim])}


class IndexSelect:
    """`a.index_select(1, index)`."""

    def call(self, values: Sequence[Tensor], arguments: Arguments) -> Any:
        """Look up."""
        return values[0].index_select(arguments["dim"], values[1])

    def source(self, names: Sequence[str], arguments: Arguments) -> str:
        """Spell it."""
        return f"{names[0]}.index_select({arguments['dim']}, {names[1]})"


class Gather:
    """`a.gather(1, index.expand(a.shape[0], -1, -1))`."""

    def call(self, values: Sequence[Tensor], arguments: Arguments) -> Any:
        """Look up."""
        x, index = values
        return x.gather(arguments["dim"], index.expand(x.shape[0], *[-1] * (x.dim() - 1)))

    def source(self, names: Sequence[str], arguments: Arguments) -> str:
        """Spell it."""
        others = ", ".join(["-1"] * arguments["rank"])
        return f"{names[0]}.gather({spelled(arguments['dim'])}, {names[1]}.expand({names[0]}.shape[0], {others}))"


@st.composite
def _gathers(draw: st.DrawFn, values: Sequence[Shaped]) -> Arguments:
    return {**draw(_lookups(values)), "rank": values[0].rank - 1}


RANKING = (
    OpSpec("matmul", Infix("@"), partner=_can_be_multiplied, weight=2),
    OpSpec("attend", Attend(), partner=_can_attend),
    OpSpec(
        "linear",
        Function("F.linear", of_weights=("features",)),
        accepts=lambda x: x.axis < x.rank - 1 and x.can_grow(_MOST_FEATURES),
        arguments=lambda _: st.integers(1, _MOST_FEATURES).map(lambda n: {"features": n}),
        weights=_linear,
    ),
    OpSpec("topk", Method("topk", ("k",), then="values"), lambda x: x.rank > 1, _best),
    OpSpec("sort", Method("sort", then="values"), lambda x: x.rank > 1, _orders),
    OpSpec(
        "gather_best",
        GatherBest(),
        accepts=lambda x: x.rank > 1,
        partner=lambda x, y: (x.shape, x.axis, x.each) == (y.shape, y.axis, y.each),
        arguments=_best,
        ranks=True,
    ),
    OpSpec("index_select", IndexSelect(), lambda x: x.rank > 1, _lookups, weights=_index),
    OpSpec(
        "gather",
        Gather(),
        accepts=lambda x: 1 < x.rank <= 4 and x.axis == 0 and x.each == 1,
        arguments=_gathers,
        weights=_indices,
    ),
)
