"""A network, and targets that compute it with a fault in one of its operators, in several together, or in none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from conformance.cases.case import AUTO_CAST
from conformance.cases.outcome import Stage
from conformance.defects.catalogue import DEFECTS
from conformance.programs.program import Program
from conformance.targets.base import BaseTarget
from conformance.targets.passes import LIST, left_out
from conformance.targets.protocol import Compiled, Options


class Net(nn.Module):
    """Two convolutions that are written into, a sigmoid, a split, a product, a sum over space, two outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace=True))
        self.body = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.SiLU(inplace=True))
        self.head = nn.Linear(4, 5)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        x = self.stem(x)
        y = self.body(x)
        y += x
        a, b = y.split([4, 4], 1)
        grid = torch.linspace(0, 1, x.shape[-1], device=x.device).to(x.dtype)
        c = torch.sigmoid(a) * torch.tanh(b) + grid
        return {"map": c.flip(3), "scores": self.head(c.mean((2, 3)))}


class Mirrored(nn.Module):
    """Two wrong signs make a right one."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, bias=False)
        self.second = nn.Conv2d(4, 4, 3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.second(self.first(x)).mean((2, 3))
        return found


Fault = Callable[["Mode", str, Any], Any]


class Mode(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """What a target computes: eager, but for a fault, which is given the name of each operator and what it gives.
    `count` is how many it has computed in this call, of `total`; `previous` is the one before."""

    def __init__(self, fault: Fault, call: int, total: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.fault, self.call, self.total, self.count, self.previous = fault, call, total, 0, ""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        self.count += 1
        found = self.fault(self, name, func(*args, **(kwargs or {})))
        self.previous = name
        return found


class Planted(BaseTarget):
    """A target with a fault."""

    def __init__(self, name: str, fault: Fault) -> None:
        self.name, self.fault = name, fault

    def compile(self, program: Program, options: Options) -> Compiled:
        options.enter(Stage.COMPILE)
        counting = Mode(lambda mode, name, value: value, 0, 0)
        with torch.no_grad(), counting:
            program.module(*(x.clone() for x in program.inputs))
        calls = 0

        def run(*inputs: Tensor) -> tuple[Tensor, ...]:
            nonlocal calls
            calls += 1
            with torch.no_grad(), Mode(self.fault, calls, counting.count):
                outputs: tuple[Tensor, ...] = program.module(*inputs)
            return outputs

        return run


def _tanh(mode: Mode, name: str, value: Any) -> Any:
    return value * 1.01 if name == "tanh" else value


def _written(mode: Mode, name: str, value: Any) -> Any:
    return value.mul_(0.9) if name == "silu_" else value


def _fused(mode: Mode, name: str, value: Any) -> Any:
    """The product, where the hyperbolic tangent comes right before."""
    return value * 1.01 if (mode.previous, name) == ("tanh", "mul") else value


def _large(mode: Mode, name: str, value: Any) -> Any:
    """The hyperbolic tangent, in a program of more than fourteen operators."""
    return value * 1.01 if name == "tanh" and mode.total > 14 else value


def _drift(mode: Mode, name: str, value: Any) -> Any:
    """Everything a little too large: less than shows in one operator."""
    return value * (1 + 2.5e-7) if isinstance(value, Tensor) and value.is_floating_point() else value


def _now_and_then(mode: Mode, name: str, value: Any) -> Any:
    return value * 1.01 if name == "tanh" and mode.call % 3 == 0 else value


def _of_two(mode: Mode, name: str, value: Any) -> Any:
    """The hyperbolic tangent of two images or more, of 8 pixels or more."""
    return value * 1.01 if name == "tanh" and len(value) > 1 and value.shape[2] >= 8 else value


OPERATOR = Planted("operator", _tanh)


def _large_written(mode: Mode, name: str, value: Any) -> Any:
    """An activation that is written into its input, in a program of more than fourteen operators."""
    return value.mul_(0.9) if name == "silu_" and mode.total > 14 else value


def _negative(mode: Mode, name: str, value: Any) -> Any:
    """A convolution with the wrong sign, in a program of several operators."""
    return -value if name == "convolution" and mode.total > 2 else value


NEGATIVE = Planted("negative", _negative)
CONTEXT_WRITTEN = Planted("context-written", _large_written)
OF_TWO = Planted("of-two", _of_two)
WRITTEN = Planted("written", _written)
SPAN = Planted("span", _fused)
CONTEXT = Planted("context", _large)
DRIFT = Planted("drift", _drift)
INTERMITTENT = Planted("intermittent", _now_and_then)
RIGHT = Planted("right", lambda mode, name, value: value)


class Passes(Planted):
    """Five passes change every program. Without `needed` nothing compiles, and it is `faulty` that is wrong, or that
    and the one behind it; two switches, of which one helps."""

    settings = {"careful": "compute as eager does", "loud": "say more"}
    has_passes = True

    def __init__(self, name: str, *faulty: str) -> None:
        super().__init__(name, _tanh)
        self.faulty = faulty

    def compile(self, program: Program, options: Options) -> Compiled:
        off = left_out(options.settings)
        if "needed" in off:
            options.enter(Stage.LOWER)
            raise RuntimeError("no code without it")
        options.passes(["first", "second", "needed", "third", "fourth"] if LIST in options.settings else [])
        cured = self.faulty and set(self.faulty) <= set(off)
        fault = RIGHT.fault if cured or "careful" in options.settings else self.fault
        return Planted(self.name, fault).compile(program, options)


class Batches(Planted):
    """Wrong at batch 3, and from 96 pixels on at any."""

    def compile(self, program: Program, options: Options) -> Compiled:
        batch, _, height, _ = program.inputs[0].shape
        fault = self.fault if batch == 3 or height >= 96 else RIGHT.fault
        return Planted(self.name, fault).compile(program, options)


class Casts(Planted):
    """Wrong where the compiler is to cast."""

    def compile(self, program: Program, options: Options) -> Compiled:
        fault = self.fault if options.dtype in AUTO_CAST else RIGHT.fault
        return Planted(self.name, fault).compile(program, options)


CASTS = Casts("casts", lambda mode, name, value: -value if name == "tanh" else value)
PASS = Passes("pass", "third")
PASSES = Passes("passes", "second", "fourth")
NO_PASS = Passes("no-pass")
BATCHES = Batches("batches", _tanh)


def of_defect(name: str) -> tuple[nn.Module, Callable[[int], tuple[Tensor, ...]]]:
    """The first minimal case of a known defect, with its inputs."""
    case = DEFECTS[name].minimal_cases[0]
    return case.build(), case.inputs


def ceil_shape() -> tuple[nn.Module, Callable[[int], tuple[Tensor, ...]]]:
    """Refused by ONNX Runtime when it optimises the graph."""
    return of_defect("onnxruntime-ceil-shape")


def one_row() -> tuple[nn.Module, Callable[[int], tuple[Tensor, ...]]]:
    """XLA's algebraic simplifier dies of it."""
    return of_defect("xla-cpu-transposed-one-row")
