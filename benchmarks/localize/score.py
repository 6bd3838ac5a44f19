"""Whether an answer is right, and whether it accuses an innocent operator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel

OURS = "conformance localize"
_KINDS = {
    "operator": "operator",
    "span": "span",
    "context": "only in context",
    "drift": "drift",
    "intermittent": "intermittent",
}


class Said(BaseModel):
    """What a localiser said of a fault: a kind, where it knows any, and the operators that it names, place by place.
    `long` is a place of so many operators that it accuses none of them."""

    by: str
    kind: str | None = None
    places: tuple[tuple[int, ...], ...] = ()
    compiles: int | None = None
    seconds: float = 0
    failed: str = ""


class Scored(BaseModel):
    """An answer beside the truth. `right` is the class with an operator or span of the truth, `all` with every one
    of them, `innocent` whether an operator is named that is in no place of the truth."""

    model: str
    of_class: str
    fault: str
    operators: int
    truth: tuple[tuple[int, ...], ...]
    said: Said
    right: bool
    all: bool
    innocent: bool
    script: Literal["3 of 3", "no", "not tried", ""] = ""


LONGEST = 8  # operators of a place that says something of each


def scored(
    model: str, of_class: str, fault: str, operators: int, truth: Sequence[tuple[int, ...]], said: Said
) -> Scored:
    """The score of an answer. One that knows no kinds is right with the operators alone; drift is right where none is
    named."""
    guilty = {number for place in truth for number in place}
    named = [place for place in said.places if len(place) <= LONGEST]
    wide = [place for place in said.places if len(place) > LONGEST]
    accuses = said.kind != "drift"  # which says where it adds up, and that no operator is to blame
    innocent = accuses and any(set(place) - guilty for place in named)
    kind = said.kind is None or said.kind == _KINDS.get(of_class, said.kind)
    if of_class == "drift":
        right = said.kind == "drift" or (said.kind is None and not said.places and not said.failed)
    elif of_class in ("context", "real"):
        right = kind and not innocent and bool(named or any(guilty & set(place) for place in wide))
    else:
        right = kind and not innocent and any(tuple(sorted(place)) in _sorted(truth) for place in named)
    every = right and guilty <= {number for place in said.places for number in place}
    return Scored(
        model=model,
        of_class=of_class,
        fault=fault,
        operators=operators,
        truth=tuple(truth),
        said=said,
        right=right,
        all=every,
        innocent=innocent,
    )


def _sorted(places: Sequence[tuple[int, ...]]) -> list[tuple[int, ...]]:
    return [tuple(sorted(place)) for place in places]
