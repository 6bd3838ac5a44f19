"""Which operators are to blame, found by compiling parts of the graph. Knows neither torch nor a target: only what
part is wrong, when it is asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum

from conformance.cases.span import Operator, Span

# More operators than these are no span that says anything: they are wrong only in context.
LONGEST_SPAN = 8
# Places of one kind of operator that are each looked at.
MOST_PLACES = 24
# Other places of one kind that are looked at before a large program is asked whether anything is left.
_FEW_PLACES = 3
# Other places to cut that are tried where nothing could be told.
_OTHER_CUTS = 4


class Verdict(Enum):
    """Of a part of a graph: whether it fails as the whole does; unknown where it fails in another way."""

    WRONG = "wrong"
    RIGHT = "right"
    UNKNOWN = "unknown"


class Kind(Enum):
    """What is to blame."""

    OPERATOR = "operator"
    SPAN = "span"
    CONTEXT = "only in context"
    DRIFT = "drift"
    INTERMITTENT = "intermittent"
    NOT_REPRODUCED = "not reproduced"
    UNDECIDED = "undecided"


Ask = Callable[[Span], Verdict]


@dataclass(frozen=True)
class Found:
    """What is to blame: the operators, or those of each place of several. Of what is wrong only in context, the
    operator in front of which a cut, or whose value given out as well, makes it right."""

    kind: Kind
    places: tuple[tuple[int, ...], ...] = ()
    boundary: int | None = None
    note: str = ""


@dataclass
class Search:
    """The operators of a graph that is wrong as a whole, and what says whether a part of it is.

    `first_wrong` says of a span with operators shown which of these is the first whose value is wrong.
    """

    operators: Sequence[Operator]
    ask: Ask
    first_wrong: Callable[[Span], int | None] = lambda span: None
    blamed: list[tuple[int, ...]] = field(default_factory=list)

    def run(self, hint: Sequence[int] = ()) -> Found:
        """What is to blame; `hint` are the operators of the layer that is the first to be wrong. The whole is wrong,
        or it would not be asked for."""
        everything = tuple(range(len(self.operators)))
        start = everything
        if hint and len(hint) < len(everything) and self._wrong(tuple(hint)):
            start = tuple(hint)
        kind = None
        while start:
            found = self._descend(start)
            if found.kind not in (Kind.OPERATOR, Kind.SPAN):
                if kind is None:
                    return found
                note = f"what is left without them is wrong still: {found.kind.value}"
                return Found(kind, tuple(self.blamed), note=note)
            kind = kind or found.kind
            self.blamed += found.places
            for alike in self._alike(found.places[0]):
                if len(alike) <= _FEW_PLACES or self._left():
                    self.blamed += [place for place in alike if self._wrong(place)]
            start = self._left()
            if start and len(self.blamed) > MOST_PLACES:
                return Found(kind, tuple(sorted(self.blamed)), note="there are more")
        assert kind is not None
        return Found(kind, tuple(sorted(self.blamed)))

    @property
    def _accused(self) -> set[int]:
        """The operators of all places that are blamed so far."""
        return {number for place in self.blamed for number in place}

    def _left(self) -> tuple[int, ...]:
        """The operators without those that are blamed, where they are wrong still."""
        accused = self._accused
        left = tuple(number for number in range(len(self.operators)) if number not in accused)
        return left if left and self._wrong(left) else ()

    def _alike(self, place: tuple[int, ...]) -> tuple[list[tuple[int, ...]], list[tuple[int, ...]]]:
        """Other places with the same kinds of operators, as far from each other: those that give values of the same
        shapes, and the rest."""
        same, rest = list[tuple[int, ...]](), list[tuple[int, ...]]()
        for start in range(len(self.operators) - place[-1] + place[0]):
            other = tuple(number - place[0] + start for number in place)
            pairs = [(self.operators[one], self.operators[two]) for one, two in zip(place, other, strict=True)]
            if all(one.target == two.target for one, two in pairs) and not self._accused & set(other):
                (same if all(one.shape == two.shape for one, two in pairs) else rest).append(other)
        return same[:MOST_PLACES], rest[:MOST_PLACES]

    def _wrong(self, numbers: tuple[int, ...]) -> bool:
        return self.ask(Span(numbers)) is Verdict.WRONG

    def _descend(self, numbers: tuple[int, ...]) -> Found:
        """What is to blame in a part that is wrong.

        Where the first half is right the second is taken to be wrong, and is not asked: the one operator that is left
        at last is. Only where that is right, too, each second half is asked, from the longest on.
        """
        taken: list[tuple[tuple[int, ...], int]] = []
        part = numbers
        while (cut := self._half(part)) is not None:
            if self._wrong(part[:cut]):
                part, taken = part[:cut], []
            else:
                taken.append((part, cut))
                part = part[cut:]
        if not taken or self._wrong(part):
            return Found(Kind.OPERATOR if len(part) == 1 else Kind.SPAN, (part,))
        for whole, cut in taken:
            if not self._wrong(whole[cut:]):
                return self._across(whole, cut)
        return Found(Kind.SPAN, (part,))

    def _half(self, part: Sequence[int]) -> int | None:
        """Where to cut a part, the nearest place to its middle that can be; None where there is none."""
        places = [i for i in range(1, len(part)) if self.operators[part[i]].apart]
        places.sort(key=lambda i: abs(2 * i - len(part)))
        for place in places[:_OTHER_CUTS]:
            if self.ask(Span(tuple(part[:place]))) is not Verdict.UNKNOWN:
                return place
        return places[0] if places else None

    def _across(self, part: tuple[int, ...], cut: int) -> Found:
        """What is to blame in a part that is wrong, though neither of its halves is."""
        if Verdict.UNKNOWN in (self.ask(Span(part[:cut])), self.ask(Span(part[cut:]))):
            return Found(Kind.UNDECIDED, (part,), note="parts of it fail in another way than the whole")
        if self.ask(Span(part, cut=part[cut])) is Verdict.WRONG:
            return Found(Kind.DRIFT, (part,), part[cut])
        stop = self._first(lambda end: self._wrong(part[:end]), cut + 1, len(part))
        start = self._last(lambda begin: self._wrong(part[begin:stop]), 0, cut - 1)
        span = self._needed(part[start:stop])
        if len(span) > LONGEST_SPAN or not self._is_connected(span):
            return self._in_context(part[start:stop], part[cut])
        alone = [(number,) for number in span if self._wrong((number,))]
        return Found(Kind.OPERATOR, tuple(alone)) if alone else Found(Kind.SPAN, (span,), part[cut])

    @staticmethod
    def _first(holds: Callable[[int], bool], low: int, high: int) -> int:
        """The smallest number for which it holds, if it does for `high` and for all from there on."""
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if holds(middle) else (middle + 1, high)
        return high

    @staticmethod
    def _last(holds: Callable[[int], bool], low: int, high: int) -> int:
        """The largest, if it holds for `low` and for none behind the first for which it does not."""
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if holds(middle) else (low, middle - 1)
        return low

    def _needed(self, span: tuple[int, ...]) -> tuple[int, ...]:
        """The span without those without which it is wrong all the same, of one that is short."""
        if len(span) > 2 * LONGEST_SPAN or not all(self.operators[number].apart for number in span):
            return span
        for number in span:
            rest = tuple(other for other in span if other != number)
            if rest and self._wrong(rest):
                span = rest
        return span

    def _is_connected(self, span: tuple[int, ...]) -> bool:
        """Whether these operators hand values on to each other."""
        reached, inside = {span[-1]}, set(span)
        for number in reversed(span):
            takes = inside & set(self.operators[number].takes)
            if number in reached or takes & reached:
                reached |= {number, *takes}
        return reached == inside

    def _in_context(self, span: tuple[int, ...], cut: int) -> Found:
        """Of what no short span reproduces: with all its values given out, which is the first that is wrong?"""
        first = self.first_wrong(Span(span, shown=span))
        if first is not None:
            return Found(Kind.CONTEXT, ((first,),), cut, "wrong in context, right alone")
        return Found(Kind.CONTEXT, (span,), cut, "right once its values are given out")
