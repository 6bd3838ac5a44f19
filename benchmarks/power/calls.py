"""Programs, called as the product calls them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from conformance.autocast import auto_cast
from conformance.running.judgement import Answers
from conformance.running.subject import Trial

Program = Callable[..., tuple[Tensor, ...]]


def run(program: Program, inputs: tuple[Tensor, ...], dtype: str = "float32") -> tuple[Tensor, ...]:
    """What a program gives, kept: it may write into what it is given, or give its own buffer again.

    A graph that torch runs is cast on the way, where the dtype asks for that; a compiled program casts itself.
    """
    with torch.no_grad(), auto_cast(dtype):
        return tuple(output.detach().clone() for output in program(*(x.clone() for x in inputs)))


def ask(trial: Trial, program: Program, tapped: Program | None, dtype: str = "float32") -> Answers:
    """The images, others, the images again; and once with the layers tapped. A graph that is tapped may be asked
    for the outputs alone, too."""
    count = trial.output_count
    first = run(program, trial.inputs, dtype)[:count]
    run(program, trial.others, dtype)
    again = run(program, trial.inputs, dtype)[:count]
    return Answers(first, again, run(tapped, trial.inputs, dtype) if tapped is not None else None)


def once(trial: Trial, answer: tuple[Tensor, ...]) -> Answers:
    """The answers of a program that gives the same whenever it is called, from one call with all layers tapped."""
    outputs = answer[: trial.output_count]
    return Answers(outputs, outputs, answer if trial.tapped is not None else None)
