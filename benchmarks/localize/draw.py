"""Faults for a model, drawn by a seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import get_args

from benchmarks.localize.plant import Fault, How, kernel_of, may_be_struck
from conformance.cases.span import Operator

# Of each class, for each model.
COUNTS = {"operator": 10, "span": 6, "context": 4, "drift": 3, "intermittent": 4}
_MOST = 1000  # draws: a small model has few faults, and all of them are drawn long before
_DRIFTS = ((), ("conv", "linear", "matmul", "addmm"), ("mul", "add", "silu", "relu", "sigmoid", "softmax"))


def draw(of_class: str, operators: Sequence[Operator], seed: str) -> Iterator[Fault]:
    """One fault after the other, each another, until there are no more."""
    random = Random(f"{seed}/{of_class}")
    seen: set[Fault] = set()
    for _ in range(_MOST):
        fault = _DRAWS[of_class](operators, random)
        if fault not in seen:
            seen.add(fault)
            yield fault


def _how(random: Random) -> How:
    return random.choice(get_args(How))


def _any(operators: Sequence[Operator], random: Random) -> Operator:
    return random.choice([one for one in operators if may_be_struck(one)])


def _operator(operators: Sequence[Operator], random: Random) -> Fault:
    return Fault(of_class="operator", kernel=kernel_of(_any(operators, random)), how=_how(random))


def _span(operators: Sequence[Operator], random: Random) -> Fault:
    second = _any(operators, random)
    first = operators[random.choice(second.takes)]
    return Fault(of_class="span", kernel=kernel_of(second), after=kernel_of(first), how=_how(random))


def _context(operators: Sequence[Operator], random: Random) -> Fault:
    """Where too much is compiled at once, or from the images on; far enough from these."""
    late = operators[len(operators) // 3 :]
    kernel, how = kernel_of(_any(late, random)), _how(random)
    if random.random() < 0.5:
        return Fault(of_class="context", kernel=kernel, how=how, images=True)
    return Fault(of_class="context", kernel=kernel, how=how, longer=len(operators) // 2)


def _drift(operators: Sequence[Operator], random: Random) -> Fault:
    return Fault(of_class="drift", size=random.choice([1.5e-7, 2e-7, 2.5e-7, 3e-7]), of=random.choice(_DRIFTS))


def _intermittent(operators: Sequence[Operator], random: Random) -> Fault:
    kernel = kernel_of(_any(operators, random))
    return Fault(of_class="intermittent", kernel=kernel, how=_how(random), period=random.choice([3, 5, 7]))


_DRAWS: dict[str, Callable[[Sequence[Operator], Random], Fault]] = {
    "operator": _operator,
    "span": _span,
    "context": _context,
    "drift": _drift,
    "intermittent": _intermittent,
}
