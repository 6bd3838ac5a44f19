"""Every call is judged, by the reference of what it was shown: a program can be right at first and wrong later."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import suites
import toys
from cells import changed
from torch import Tensor

from conformance.cases.outcome import Aspect, Outcome, Status
from conformance.programs.program import Program
from conformance.running.pipeline import run_case
from conformance.targets.protocol import Compiled, Options

Answers = list[tuple[Tensor, ...]]


@dataclass(frozen=True)
class Remembers(toys.Planted):
    """What a program gives is chosen among its right answers so far, the newest last."""

    choose: Callable[[Answers], tuple[Tensor, ...]] = lambda seen: seen[-1]

    def compile(self, program: Program, options: Options) -> Compiled:
        module, seen = copy.deepcopy(program.module), Answers()

        def run(*inputs: Tensor) -> tuple[Tensor, ...]:
            seen.append(module(*inputs))
            return self.choose(seen)

        return run


def twice(answer: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(x * 2 for x in answer)


HONEST = Remembers()
FOR_EVER = Remembers(choose=lambda seen: seen[0])
PING_PONG = Remembers(choose=lambda seen: twice(seen[-1]) if len(seen) % 2 == 0 else seen[-1])
FROM_FOUR = Remembers(choose=lambda seen: twice(seen[-1]) if len(seen) >= 4 else seen[-1])
ONLY_TWO = Remembers(choose=lambda seen: twice(seen[-1]) if len(seen) == 2 else seen[-1])
BEFORE_LAST = Remembers(choose=lambda seen: seen[-min(3, len(seen))])  # right for A, B, A, B: found as it is stale
FROM_SEVEN = Remembers(choose=lambda seen: twice(seen[-1]) if len(seen) >= 7 else seen[-1])


def judge(target: toys.Planted, layer: str | None = None, calls: int = 4) -> Outcome:
    return run_case(changed(toys.CASE, layer=layer), "toys:Toy", target, lambda _: None, calls=calls)


def verdicts(outcome: Outcome, aspect: Aspect = Aspect.MODEL) -> list[str]:
    return [check.status.value for check in outcome.checks if check.of is aspect]


@pytest.mark.parametrize("layer", [None, "join"], ids=["whole", "isolated"])
@pytest.mark.parametrize(
    ("target", "wrong"),
    [(HONEST, []), (FOR_EVER, [2, 4]), (PING_PONG, [2, 4]), (FROM_FOUR, [4]), (ONLY_TWO, [2])],
    ids=["honest", "its first answer for ever", "ping-pong", "from the fourth call on", "the second call alone"],
)
def test_every_call_has_its_verdict(target: toys.Planted, wrong: list[int], layer: str | None) -> None:
    outcome = judge(target, layer)
    found = verdicts(outcome, Aspect.ISOLATED if layer else Aspect.MODEL)
    assert found == ["wrong" if call in wrong else "pass" for call in range(1, 5)]
    assert outcome.status is (Status.WRONG if wrong else Status.PASS)
    assert outcome.signature == (f"call {wrong[0]}" if wrong else None)


def test_figures_are_those_of_the_first_call_that_is_wrong() -> None:
    assert judge(FROM_FOUR).groups["boxes"].rel_l2 == pytest.approx(1, abs=1e-4)
    assert judge(HONEST).groups["boxes"].rel_l2 < 1e-5


def test_longer_sequences_find_what_comes_later() -> None:
    assert judge(FROM_SEVEN).status is Status.PASS
    outcome = judge(FROM_SEVEN, calls=8)
    assert outcome.signature == "call 7"
    assert verdicts(outcome) == ["pass"] * 6 + ["wrong"] * 2


def test_answer_of_another_shape_at_a_later_call_is_a_mismatch() -> None:
    short = Remembers(choose=lambda seen: tuple(x[:, :, :-1] for x in seen[-1]) if len(seen) == 3 else seen[-1])
    outcome = judge(short)
    assert outcome.status is Status.MISMATCH
    assert verdicts(outcome) == ["pass", "pass", "mismatch", "pass"]


def test_calls_are_an_option_and_part_of_the_command(suite: pytest.Pytester) -> None:
    options = ("--target", "test_calls:FROM_SEVEN", "--batch", "1", "-k", "test_model")
    suites.run(suite, *options).assert_outcomes(passed=1)
    suites.run(suite, *options, "--calls", "7").assert_outcomes(failed=1)
    (record,) = suites.records(suite)
    assert record.signature == "call 7"
    assert "--calls 7" in record.command
    suites.run(suite, *options, "--calls", "1").stderr.fnmatch_lines(
        ["ERROR: --calls 1 is impossible: a whole number, 2 to *"]
    )
