"""Which operators are blamed, for faults that are planted in a graph of which nothing but numbers is known."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection
from math import ceil, log2
from statistics import median

import pytest

from conformance.cases.span import Operator, Span
from conformance.localize.search import Found, Kind, Search, Verdict


def operators(count: int, together: Collection[int] = ()) -> list[Operator]:
    """So many, of 20 kinds, each taking what the three before it give; before those that are `together` is no cut."""
    return [
        Operator(n, f"op{n}", f"aten.kind{n % 20}", "", "", (), (n - 3, n - 2, n - 1), n not in together)
        for n in range(count)
    ]


class Asked:
    """What says whether a part is wrong, and counts how often it is asked."""

    def __init__(self, wrong: Callable[[Span], bool], unknown: Callable[[Span], bool] = lambda span: False) -> None:
        self.wrong, self.unknown = wrong, unknown
        self.spans: dict[Span, Verdict] = {}

    def __call__(self, span: Span) -> Verdict:
        if span not in self.spans:
            known = Verdict.WRONG if self.wrong(span) else Verdict.RIGHT
            self.spans[span] = Verdict.UNKNOWN if self.unknown(span) else known
        return self.spans[span]


def blamed(count: int, ask: Asked, **more: object) -> Found:
    return Search(operators(count), ask, **more).run()  # type: ignore[arg-type]


def holding(*culprits: int) -> Callable[[Span], bool]:
    """Wrong with any of these in it."""
    return lambda span: not set(culprits).isdisjoint(span.operators)


def together(*culprits: int) -> Callable[[Span], bool]:
    """Wrong with all of these in it, uncut."""

    def wrong(span: Span) -> bool:
        apart = span.cut is not None and min(culprits) < span.cut <= max(culprits)
        return set(culprits) <= set(span.operators) and not apart

    return wrong


@pytest.mark.parametrize("count", [2, 7, 60, 400])
def test_one_operator_is_found_in_few_compiles(count: int) -> None:
    asked = []
    for culprit in random.Random(0).sample(range(count), min(count, 25)):
        ask = Asked(holding(culprit))
        assert blamed(count, ask) == Found(Kind.OPERATOR, ((culprit,),))
        asked.append(len(ask.spans) + 1)  # and the whole, before it
    assert median(asked) <= ceil(log2(count)) + 4


def test_layer_that_is_known_to_be_wrong_first_saves_compiles() -> None:
    with_hint, without = Asked(holding(200)), Asked(holding(200))
    assert Search(operators(400), with_hint).run(range(195, 205)) == Search(operators(400), without).run()
    assert len(with_hint.spans) < len(without.spans)
    misled = Asked(holding(200))
    assert Search(operators(400), misled).run(range(10, 20)) == Found(Kind.OPERATOR, ((200,),))


def test_all_places_of_one_kind_are_found_and_no_innocent_one() -> None:
    asked = Asked(holding(3, 43, 83))  # of 5 of that kind
    assert blamed(100, asked) == Found(Kind.OPERATOR, ((3,), (43,), (83,)))


def test_all_places_of_one_span_are_found_without_halving_for_each() -> None:
    places = [(start + 4, start + 6) for start in (0, 40, 60, 120, 300)]  # of 20 such places
    ask = Asked(lambda span: any(together(*place)(span) for place in places))
    assert blamed(400, ask) == Found(Kind.SPAN, tuple(places))
    first = Asked(together(*places[0]))
    blamed(400, first)
    assert len(ask.spans) <= len(first.spans) + 20 + 2


def test_culprits_of_several_kinds_are_found() -> None:
    assert blamed(100, Asked(holding(3, 44, 45))) == Found(Kind.OPERATOR, ((3,), (44,), (45,)))


@pytest.mark.parametrize("culprits", [(10, 11), (31, 32), (49, 50), (20, 23), (48, 49, 51)])
def test_operators_that_are_wrong_together_are_a_span(culprits: tuple[int, ...]) -> None:
    found = blamed(100, Asked(together(*culprits)))
    assert (found.kind, found.places) == (Kind.SPAN, (culprits,))


def test_operator_with_a_span_elsewhere() -> None:
    def wrong(span: Span) -> bool:
        return holding(70)(span) or together(20, 21)(span)

    found = blamed(100, Asked(wrong))
    assert found.places == ((20, 21), (70,))


def test_errors_that_add_up_are_drift() -> None:
    found = blamed(100, Asked(lambda span: len(span) > 40))
    assert found.kind is Kind.DRIFT


def test_operators_that_hand_nothing_on_to_each_other_are_no_span() -> None:
    """Each of them is needed, as for the size of the program; that is nothing of theirs."""
    found = blamed(100, Asked(together(40, 45)), first_wrong=lambda span: 45)
    assert (found.kind, found.places) == (Kind.CONTEXT, ((45,),))


def test_fault_that_needs_most_of_the_model_is_wrong_only_in_context() -> None:
    def wrong(span: Span) -> bool:
        return len(span) >= 90 and 40 in span.operators and span.cut is None

    found = blamed(100, Asked(wrong), first_wrong=lambda span: 40)
    assert (found.kind, found.places) == (Kind.CONTEXT, ((40,),))
    assert found.boundary is not None
    heals = blamed(100, Asked(wrong))
    assert heals.kind is Kind.CONTEXT
    assert "given out" in heals.note


def test_part_that_fails_in_another_way_accuses_nobody() -> None:
    """As where a part alone cannot be compiled at all."""
    ask = Asked(holding(33), unknown=lambda span: len(span) == 50)
    assert blamed(100, ask) == Found(Kind.OPERATOR, ((33,),))
    nothing = Asked(holding(33), unknown=lambda span: len(span) < 100)
    assert blamed(100, nothing).kind is Kind.UNDECIDED


def test_nothing_is_cut_where_two_names_are_of_one_value() -> None:
    ask = Asked(holding(11))
    found = Search(operators(40, together=(11, 12)), ask).run()
    assert (found.kind, found.places) == (Kind.SPAN, ((10, 11, 12),))
    assert all(span.operators[0] not in (11, 12) for span in ask.spans)
