"""Layers that what follows overwrites in place: a tap has what the layer gave, whatever became of it."""

from __future__ import annotations

import copy

import pytest
import torch
import toys
from cells import changed
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from conformance.cases.outcome import Outcome, Status
from conformance.golden.reference import record, same
from conformance.programs.program import Program
from conformance.running.pipeline import run_case
from conformance.systems.protocol import Model
from conformance.targets.onnxruntime import OnnxRuntime
from conformance.targets.openvino import OpenVino
from conformance.targets.protocol import Compiled, Options, Target


class Step(nn.Module):
    """One operator, in place or not."""

    def __init__(self, name: str, in_place: bool) -> None:
        super().__init__()
        self.name, self.in_place = name, in_place

    def forward(self, x: Tensor, other: Tensor) -> Tensor:
        y = x if self.in_place else x.clone()
        if self.name == "add":
            y += other
        elif self.name == "half":
            y[:, ::2] = 0.5
        elif self.name == "view":  # a view of it is written
            y.flatten(1)[:, 1:] *= 2
        elif self.name == "behind":  # written without torch's knowledge
            y.data.mul_(3)
        else:
            getattr(y, self.name)()
        return y


OPERATORS = ("relu_", "neg_", "sigmoid_", "zero_", "add", "half", "view", "behind")


class Chain(nn.Module):
    """Steps one after the other; each is also given what an earlier one gave, or the input."""

    def __init__(self, steps: list[tuple[str, bool, int]], in_place: bool) -> None:
        super().__init__()
        self.steps = nn.ModuleList(Step(name, own and in_place) for name, own, _ in steps)
        self.reads = [read for _, _, read in steps]

    def forward(self, x: Tensor) -> Tensor:
        y = x * 1
        copies = [y + 0]  # of what there was, or an operator in place would change what later ones are given
        for step, read in zip(self.steps, self.reads, strict=True):
            y = step(y, copies[read % len(copies)])
            copies.append(y + 0)
        return y - x


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(OPERATORS), st.booleans(), st.integers(0, 5)), min_size=1, max_size=6))
def test_tapped_values_are_those_of_the_module_run_out_of_place(steps: list[tuple[str, bool, int]]) -> None:
    x = torch.randn(2, 4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(len(steps)))
    layers = tuple(f"steps.{index}" for index in range(len(steps)))
    wanted: list[Tensor] = []
    plain = Chain(steps, in_place=False)
    for step in plain.steps:
        step.register_forward_hook(lambda _, __, output: wanted.append(output.clone()))
    result = plain(x.clone())

    module = Chain(steps, in_place=True)
    golden = record(module, layers, (x.clone(),))
    assert all(same(*golden.of_layer(path), value) for path, value in zip(layers, wanted, strict=True))  # type: ignore[call-arg]
    outputs = golden.tapped(module)(x.clone())
    assert torch.equal(outputs[0], result)
    numbers = [*golden.outputs, *golden.shown]
    for path, value in zip(layers, wanted, strict=True):
        (number,) = golden.results[path]
        assert same(outputs[numbers.index(number)], value), path
        (alone,) = golden.isolated(path, module)(*golden.into_layer(path, torch.float64))
        assert same(alone, value), f"{path} alone"


class Block(nn.Module):
    """As in every ResNet, MobileNet and EfficientNet."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.act = nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU(inplace=True)
        self.head = nn.Conv2d(8, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.head(self.act(self.norm(self.conv(x))))
        return y


class Blocks(toys.Toy):
    """A model whose norm is overwritten by its activation."""

    def layers(self, variant: str, task: str) -> tuple[str, ...]:
        return ("conv", "norm", "act", "head")

    def groups(self, variant: str, task: str) -> None:
        return None

    def build(self, variant: str, task: str) -> Model:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return Model(Block().eval().requires_grad_(False), self.layers(variant, task), "blocks")


class LouderNorm(toys.Planted):
    """The norm a third too large."""

    def compile(self, program: Program, options: Options) -> Compiled:
        module = copy.deepcopy(program.module)
        module.get_parameter("module.norm.weight").mul_(1.3)
        return module


def judge(target: Target, layer: str | None = None) -> Outcome:
    return run_case(changed(toys.CASE, layer=layer), "test_in_place:Blocks", target, lambda _: None)


@pytest.mark.parametrize("target", [toys.HEALTHY, OnnxRuntime(), OpenVino()], ids=lambda target: target.name)
@pytest.mark.parametrize("layer", [None, "norm", "act"])
def test_healthy_targets_pass_whole_tapped_and_alone(target: Target, layer: str | None) -> None:
    if reason := target.missing():
        pytest.skip(reason)
    outcome = judge(target, layer)
    assert outcome.status is Status.PASS, outcome
    assert [one.path for one in outcome.layers] == ([layer] if layer else ["conv", "norm", "act", "head"])


def test_norm_that_is_wrong_is_the_first_bad_layer() -> None:
    outcome = judge(LouderNorm())
    assert outcome.status is Status.WRONG
    assert outcome.first_bad_layer == "norm"
    assert [one.bad for one in outcome.layers] == [False, True, True, True]


def test_input_that_the_model_overwrites_is_fresh_for_every_run() -> None:
    class Normalises(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.sub_(0.5).mul_(4).sum((2, 3))

    class System(Blocks):
        def layers(self, variant: str, task: str) -> tuple[str, ...]:
            return ()

        def build(self, variant: str, task: str) -> Model:
            return Model(Normalises().eval(), (), "normalises")

    globals()["Normalising"] = System
    for target in (toys.HEALTHY, OnnxRuntime()):
        if target.missing():
            continue
        outcome = run_case(toys.CASE, "test_in_place:Normalising", target, lambda _: None)
        assert outcome.status is Status.PASS
        assert outcome.groups["output"].rel_l2 < 1e-5
