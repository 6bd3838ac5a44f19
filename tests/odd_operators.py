"""A target that computes eagerly, but for operators each of which fails in a way of its own."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import torch
from planted import Mode, Planted
from torch import Tensor
from torch.utils._pytree import tree_map

from conformance.cases.outcome import Stage
from conformance.programs.program import Program
from conformance.targets.protocol import Compiled, CompileError, Options, Unsupported


def _fault(mode: Mode, name: str, value: Any) -> Any:
    if name == "mv":
        os.kill(os.getpid(), signal.SIGSEGV)
    if name == "trace":
        time.sleep(600)
    if name == "erf":
        raise CompileError("NCC_EVRF029", "erf is not supported")
    if name == "cos":
        raise Unsupported("no cosine")
    if name == "tanh" or (name == "neg" and mode.total > 4):
        return value * 1.01
    if name == "flip":  # a value is moved by a rounding that nobody asked for
        return torch.nextafter(value, value + 1)
    return tree_map(lambda x: x[..., None] if isinstance(x, Tensor) else x, value) if name == "exp" else value


class Odd(Planted):
    """The sine is computed once."""

    def compile(self, program: Program, options: Options) -> Compiled:
        names: list[str] = []
        seen = Mode(lambda mode, name, value: names.append(name) or value, 0, 0)  # type: ignore[func-returns-value]
        with torch.no_grad(), seen:
            before = program.module(*(x.clone() for x in program.inputs))
        options.enter(Stage.COMPILE)
        return (lambda *inputs: before) if "sin" in names else super().compile(program, options)


ODD = Odd("odd", _fault)
