"""A small system, and targets that are wrong on purpose: every verdict must be able to turn red."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from cells import cell
from torch import Tensor, nn

from conformance.cases.case import Subject
from conformance.cases.outcome import Stage
from conformance.core.groups import Group
from conformance.programs.program import Program
from conformance.systems.protocol import Model
from conformance.targets.base import BaseTarget
from conformance.targets.protocol import Compiled, CompileError, Options

CASE = cell("toy", "1", "detect", batch=4, height=16, width=24, dtype="float32", target="planted")


class Halves(nn.Module):
    """An unequal split on dim 1, as in an attention."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 1)

    def forward(self, x: Tensor) -> Tensor:
        a, b = self.conv(x).split([3, 5], dim=1)
        return torch.cat([b, a * 2], dim=1)


class ToyNet(nn.Module):
    """(B, 3, H, W) to (B, 12, H * W / 4): 4 box rows and 8 scores."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.SiLU())
        self.halves = Halves()
        self.join = nn.Conv2d(16, 8, 1)
        self.head = nn.Conv2d(8, 12, 1)

    def forward(self, x: Tensor) -> Tensor:
        stem = self.stem(x)
        y = self.join(torch.cat([stem, self.halves(stem)], 1))
        boxes, scores = self.head(y).flatten(2).tensor_split([4], 1)
        return torch.cat([boxes * 100 + 200, scores.sigmoid()], 1)


class Toy:
    """One variant, whose layers all matter."""

    name = "toy"
    variants: tuple[str, ...] = ("1", "2")
    tasks: tuple[str, ...] = ("detect",)
    licence = "none"

    def missing(self) -> str | None:
        return None

    def stride(self, task: str) -> int:
        return 8

    def layers(self, variant: str, task: str) -> tuple[str, ...]:
        return ("stem", "halves", "join", "head")

    def groups(self, variant: str, task: str) -> tuple[Group, ...] | None:
        return (Group("boxes", stop=4), Group("scores", start=4))

    def build(self, variant: str, task: str) -> Model:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(variant))
            module = ToyNet().eval().requires_grad_(False)
        return Model(module, self.layers(variant, task), f"toy{variant}")

    def parameters(self, variant: str, task: str) -> int:
        return sum(parameter.numel() for parameter in ToyNet().parameters())

    def inputs(self, subject: Subject, index: int) -> tuple[Tensor, ...]:
        shape = (subject.batch, 3, subject.height or 0, subject.width or 0)
        return (torch.rand(shape, generator=torch.Generator().manual_seed(index)),)


class Around(nn.Module):
    """A net as the one layer of a model."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.net(x)
        return y


class HeadOnly(Toy):
    """A model that is one layer: what the layer gives are the outputs."""

    def layers(self, variant: str, task: str) -> tuple[str, ...]:
        return ("net",)

    def build(self, variant: str, task: str) -> Model:
        made = super().build(variant, task)
        return Model(Around(made.module).eval(), ("net",), f"head-only{variant}")


class Overflow(nn.Module):
    """Infinite in float32 or, from 1e200, in float64, too."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return (x.sum((2, 3)) + 1) * self.factor * self.factor


class Overflows32(Toy):
    """A model that float64 can compute and float32 cannot."""

    factor = 1e30

    def layers(self, variant: str, task: str) -> tuple[str, ...]:
        return ()

    def groups(self, variant: str, task: str) -> None:
        return None

    def build(self, variant: str, task: str) -> Model:
        return Model(Overflow(self.factor).eval(), (), f"overflow{self.factor}")


class Overflows64(Overflows32):
    """A model that no dtype can compute."""

    factor = 1e200


class Absent(Toy):
    """A system whose package is not installed."""

    name = "absent"

    def missing(self) -> str | None:
        return "absent needs nothing_of_the_kind: pip install 'neuron-conformance[nothing]'"


Change = Callable[[tuple[Tensor, ...]], tuple[Tensor, ...]]


@dataclass(frozen=True)
class Planted(BaseTarget):
    """Runs the module as it is, and then changes its outputs."""

    change: Change = tuple
    name: str = "planted"
    emulated: bool = False
    hardware: tuple[str, ...] = ("cpu",)
    sdks: tuple[str, ...] = ()

    variables = {"TOY": "1"}

    def compile(self, program: Program, options: Options) -> Compiled:
        options.enter(Stage.COMPILE)
        return lambda *inputs: self.change(program.module(*inputs))


class SaysPath(Planted):
    """Says where programs are searched."""

    def compile(self, program: Program, options: Options) -> Compiled:
        raise CompileError("path", os.environ["PATH"])


def _edit(edit: Callable[[Tensor], object]) -> Change:
    """Change a copy of the first output in place."""

    def change(outputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        first = outputs[0].clone()
        edit(first)
        return (first, *outputs[1:])

    return change


def _first(change: Callable[[Tensor], Tensor]) -> Change:
    return lambda outputs: (change(outputs[0]), *outputs[1:])


HEALTHY = Planted()
ZEROED_SCORES = Planted(_edit(lambda y: y[:, 4:].zero_()))
DAMPED_SCORES = Planted(_edit(lambda y: y[:, 4:, ::2].mul_(0.5)))
IMAGE_3 = Planted(_edit(lambda y: y[3].copy_(y[2])))
SWAPPED_CHANNELS = Planted(_first(lambda y: y[:, [1, 0, *range(2, 12)]]))
OFF_BY_ONE = Planted(_first(lambda y: y.roll(1, dims=2)))
ONE_PERCENT = Planted(_edit(lambda y: y[0, 4:].mul_(1.01)))
ONE_NAN = Planted(_edit(lambda y: y[1, 5, 7].fill_(float("nan"))))
ONE_INFINITY = Planted(_edit(lambda y: y[1, 5, 7].fill_(float("inf"))))
SHORT = Planted(_first(lambda y: y[:, :, :-1]))
MISSING_OUTPUT = Planted(lambda outputs: outputs[1:] if len(outputs) > 1 else ())


class Stale(Planted):
    """Gives the answer to the call before."""

    def compile(self, program: Program, options: Options) -> Compiled:
        last: list[tuple[Tensor, ...]] = [program.module(*program.inputs)]

        def run(*inputs: Tensor) -> tuple[Tensor, ...]:
            last.append(program.module(*inputs))
            return last[-2]

        return run


class StaleOnce(Planted):
    """Right at first; from the third call on it gives the second answer again."""

    def compile(self, program: Program, options: Options) -> Compiled:
        seen: list[tuple[Tensor, ...]] = []

        def run(*inputs: Tensor) -> tuple[Tensor, ...]:
            seen.append(program.module(*inputs))
            return seen[min(len(seen) - 1, 1)]

        return run


class DroppedOperator(Planted):
    """A graph in which the activation of the stem is gone."""

    def compile(self, program: Program, options: Options) -> Compiled:
        module = program.exported.module()
        for node in module.graph.nodes:
            if "silu" in str(node.target):
                node.replace_all_uses_with(node.args[0])
        module.recompile()
        return module


class OnlyTapped(Planted):
    """Wrong in one layer, and only where it is tapped."""

    def compile(self, program: Program, options: Options) -> Compiled:
        def run(*inputs: Tensor) -> tuple[Tensor, ...]:
            outputs = list(program.module(*inputs))
            if len(outputs) > 1:
                outputs[3] = outputs[3] * 1.5  # outputs, stem, halves, join, head
            return tuple(outputs)

        return run


class NoTaps(Planted):
    """Cannot compile a program of more than one output."""

    def compile(self, program: Program, options: Options) -> Compiled:
        if len(program.module(*program.inputs)) > 1:
            raise RuntimeError("too many outputs")
        return super().compile(program, options)


class Refuses(Planted):
    """Raises as a compiler does that names its code in the text of its error."""

    def compile(self, program: Program, options: Options) -> Compiled:
        options.enter(Stage.COMPILE)
        raise RuntimeError("neuronx-cc failed: [NCC_EVRF029] operation is not supported: sort")


class Coloured(Planted):
    """Raises as a compiler does that writes for a terminal."""

    def compile(self, program: Program, options: Options) -> Compiled:
        options.enter(Stage.COMPILE)
        raise RuntimeError("\x1b[31mfatal\x1b[0m: no such \u202eoperator\x1b]0;owned\x07")


class Raises(Planted):
    """Fails while it runs."""

    def compile(self, program: Program, options: Options) -> Compiled:
        def run(*inputs: Tensor) -> tuple[Tensor, ...]:
            raise CompileError("NRT_EXEC_BAD_INPUT", "wrong shape")

        return run


class Crashes(Planted):
    """A segmentation fault in the compiler, after a last word."""

    def compile(self, program: Program, options: Options) -> Compiled:
        options.enter(Stage.LOWER)
        os.write(2, b"last words of the compiler\n")
        ctypes.string_at(0)
        raise AssertionError


_used: list[bool] = []


@dataclass(frozen=True)
class CrashesWhenUsed(Planted):
    """A compiler that ends a process in which it, or another, was at work before."""

    def compile(self, program: Program, options: Options) -> Compiled:
        if len(_used) == 2:  # as it is, and tapped
            ctypes.string_at(0)
        _used.append(True)
        return super().compile(program, options)


class Exits(Planted):
    """Ends the process, as neuronx-cc does after an internal error."""

    def compile(self, program: Program, options: Options) -> Compiled:
        options.enter(Stage.COMPILE)
        os._exit(70)


class Hangs(Planted):
    """Never returns, and has started another process that does not either."""

    def compile(self, program: Program, options: Options) -> Compiled:
        options.enter(Stage.COMPILE)
        grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        os.write(2, f"grandchild {grandchild.pid}\n".encode())
        time.sleep(600)
        raise AssertionError


class Absentee(Planted):
    """A target whose package is not installed."""

    def missing(self) -> str | None:
        return "absentee needs nothing_of_the_kind: pip install 'neuron-conformance[nothing]'"


STALE = Stale()
STALE_ONCE = StaleOnce()
DROPPED_OPERATOR = DroppedOperator()
ONLY_TAPPED = OnlyTapped()
NO_TAPS = NoTaps()
REFUSES = Refuses()
COLOURED = Coloured()
RAISES = Raises()
CRASHES = Crashes(name="crashes")
CRASHES_WHEN_USED = CrashesWhenUsed(name="crashes-when-used")
EXITS = Exits()
HANGS = Hangs(name="hangs")
ABSENTEE = Absentee(name="absentee")
SAYS_PATH = SaysPath()
HEALTHY_TWIN = replace(HEALTHY, name="healthy-twin")
