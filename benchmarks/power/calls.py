"""Programs, called as the product calls them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from conformance.cases.options import CALLS
from conformance.programs.autocast import auto_cast
from conformance.running.comparison import Comparison
from conformance.running.judgement import RunOutputs

Program = Callable[..., tuple[Tensor, ...]]


def run(program: Program, inputs: tuple[Tensor, ...], dtype: str = "float32") -> tuple[Tensor, ...]:
    """What a program gives, kept: it may write into what it is given, or give its own buffer again.

    A graph that torch runs is cast on the way, where the dtype asks for that; a compiled program casts itself.
    """
    with torch.no_grad(), auto_cast(dtype):
        return tuple(output.detach().clone() for output in program(*(x.clone() for x in inputs)))


def ask(comparison: Comparison, program: Program, tapped: Program | None, dtype: str = "float32") -> RunOutputs:
    """The images, others, and both again; and the images once with the layers tapped. A graph that is tapped may be
    asked for the outputs alone, too."""
    shown = (comparison.compared.inputs, comparison.others.inputs)
    calls = (run(program, shown[number % 2], dtype)[: comparison.output_count] for number in range(CALLS))
    return RunOutputs(tuple(calls), run(tapped, comparison.compared.inputs, dtype) if tapped is not None else None)


def alike(comparison: Comparison, answer: tuple[Tensor, ...], other: tuple[Tensor, ...]) -> RunOutputs:
    """The outputs of a program that gives the same whenever it is shown the same: from one call for the images with
    all layers tapped, and one for the others."""
    pair = answer[: comparison.output_count], other[: comparison.output_count]
    calls = tuple(pair[number % 2] for number in range(CALLS))
    return RunOutputs(calls, answer if comparison.tapped is not None else None)
