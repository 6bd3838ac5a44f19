"""A defect explains its own stage, status and signature, and no other's."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from conformance.cases.outcome import ImageFigures, LayerFigures, Outcome, Stage, Status
from conformance.defects.catalogue import DEFECTS
from conformance.defects.explain import explain, shows_as
from conformance.graphs.graph import Fallback
from conformance.programs.program import Program, Whole

PACKAGES = {"torch-xla": "2.9.0", "neuronx-cc": "2.24.1", "torch-neuronx": "2.9.0.2.13.26312"}


class Everything(nn.Module):
    """A split that torch-xla reads densely, in a layer of its own, and a sort that neuronx-cc refuses, in another."""

    class Halves(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            a, b = x.split([1, 3], 1)  # type: ignore[no-untyped-call]
            return torch.cat((b, a), 1)

    class Ranks(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.sort(-1).values

    def __init__(self) -> None:
        super().__init__()
        self.halves, self.ranks = self.Halves(), self.Ranks()

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.ranks(self.halves(x))
        return result


PROGRAM = Program(Whole(Everything().eval()), (torch.rand(2, 4, 3),))


def explained(layer: str | None = None, frozen: list[Fallback] | None = None, **outcome: Any) -> list[str]:
    return explain(
        PROGRAM,
        Outcome(**outcome),
        packages=PACKAGES,
        workarounds=(),
        hardware="inf2",
        dtype="float32",
        layer=layer,
        frozen=frozen,
    )


def test_wrong_numbers_are_put_down_to_a_numeric_defect_where_it_strikes() -> None:
    wrong: dict[str, Any] = {"stage": Stage.COMPARE, "status": Status.WRONG}
    assert explained(**wrong) == explained("halves", **wrong) == ["split-with-sizes"]
    assert explained("ranks", **wrong) == []


def test_refusal_is_put_down_to_the_defect_that_refuses_so_and_to_no_numeric_one() -> None:
    refused: dict[str, Any] = {"status": Status.ERROR, "signature": "NCC_EVRF029"}
    assert explained(stage=Stage.COMPILE, **refused) == ["sort-refused"]
    assert explained(stage=Stage.RUN, **refused) == [], "not its stage"
    assert explained(stage=Stage.COMPILE, status=Status.ERROR, signature="NCC_IPCC901") == []
    assert explained(stage=Stage.COMPILE, status=Status.CRASH, signature="NCC_EVRF029") == [], "not its status"


@pytest.mark.parametrize(
    ("stage", "status", "signature"),
    [
        (Stage.RUN, Status.ERROR, "KeyError"),
        (Stage.CAPTURE, Status.ERROR, "RuntimeError"),
        (Stage.RUN, Status.CRASH, "SIGSEGV"),
        (Stage.COMPILE, Status.TIMEOUT, "900 s"),
        (Stage.COMPARE, Status.MISMATCH, None),
        (Stage.RUN, Status.FALLBACK, None),
        (Stage.LOWER, Status.WRONG, "dropped"),
    ],
)
def test_other_failures_are_not_put_down_to_a_numeric_defect(stage: Stage, status: Status, signature: str) -> None:
    assert explained(stage=stage, status=status, signature=signature) == []


def layer(ratio: float) -> LayerFigures:
    image = ImageFigures(noise_ratio=ratio, rel_l2=1, cosine=0, bad=True)
    return LayerFigures(
        path="halves", type="Halves", how="in_place", noise_ratio=ratio, cosine=0, per_image=[image], bad=True
    )


def test_infinity_is_put_down_to_wrong_numbers_where_these_come_first() -> None:
    infinite: dict[str, Any] = {"stage": Stage.COMPARE, "status": Status.NONFINITE, "first_bad_layer": "halves"}
    assert explained("halves", layers=[layer(1e5)], **infinite) == ["split-with-sizes"]
    assert explained("halves", layers=[layer(float("nan"))], **infinite) == []


def test_what_was_seen_to_be_frozen_is_the_cause_and_not_what_might_be() -> None:
    wrong: dict[str, Any] = {"stage": Stage.COMPARE, "status": Status.WRONG}
    seen = [Fallback("aten::grid_sampler_2d", "ranks.sampler")]
    assert explained("ranks", seen, **wrong) == ["frozen-fallback"]
    assert explained("halves", seen, **wrong) == ["split-with-sizes"]
    assert explained("ranks", [], **wrong) == []


class Between(nn.Module):
    """A split between two layers, in what calls them, and one behind both."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = Everything.Ranks(), Everything.Ranks()

    def forward(self, x: Tensor) -> Tensor:
        a, b = self.first(x).split([1, 3], 1)
        y: Tensor = self.second(torch.cat((b, a), 1)).clone()
        return y


class Behind(Between):
    def forward(self, x: Tensor) -> Tensor:
        a, b = self.second(self.first(x)).split([1, 3], 1)
        return torch.cat((b, a), 1)


class Shared(nn.Module):
    """Two layers with one and the same module in them; torch.export knows it by one name."""

    class Block(nn.Module):
        def __init__(self, halves: nn.Module) -> None:
            super().__init__()
            self.norm, self.halves, self.out = nn.LayerNorm(3), halves, nn.Linear(3, 3)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.out(self.halves(self.norm(x)))
            return y

    def __init__(self) -> None:
        super().__init__()
        halves = Everything.Halves()
        self.first, self.second = self.Block(halves), self.Block(halves)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.second(self.first(x))
        return y


@pytest.mark.parametrize("bad", ["first", "second"])
def test_module_that_two_layers_share_is_a_part_of_both(bad: str) -> None:
    layers = [layer(0.5).model_copy(update={"path": path, "bad": path == bad}) for path in ("first", "second")]
    program = Program(Whole(Shared().eval()), (torch.rand(2, 4, 3),))
    outcome = Outcome(stage=Stage.COMPARE, status=Status.WRONG, layers=layers, first_bad_layer=bad)
    axes: dict[str, Any] = {"packages": PACKAGES, "workarounds": (), "hardware": "inf2", "dtype": "float32"}
    assert explain(program, outcome, layer=bad, **axes) == ["split-with-sizes"]


@pytest.mark.parametrize(("module", "bad", "expected"), [
    (Between, "second", ["split-with-sizes"]),
    (Between, "first", []),
    (Behind, "second", []),
])  # fmt: skip
def test_what_calls_a_layer_is_to_blame_for_what_it_does_before_it(
    module: type[nn.Module], bad: str, expected: list[str]
) -> None:
    layers = [layer(0.5).model_copy(update={"path": path, "bad": path == bad}) for path in ("first", "second")]
    program = Program(Whole(module().eval()), (torch.rand(2, 4, 3),))
    outcome = Outcome(stage=Stage.COMPARE, status=Status.WRONG, layers=layers, first_bad_layer=bad)
    axes: dict[str, Any] = {"packages": PACKAGES, "workarounds": (), "hardware": "inf2", "dtype": "float32"}
    assert explain(program, outcome, layer=bad, **axes) == expected
    seen = [Fallback("aten::im2col", "")]
    assert explain(program, outcome, layer=bad, frozen=seen, **axes) == ["frozen-fallback", *expected]


def test_every_defect_shows_as_its_own_minimal_cases_end() -> None:
    for defect in DEFECTS.values():
        for minimal in defect.minimal_cases:
            own = Outcome(stage=defect.stage, status=minimal.status, signature=minimal.signature)
            assert shows_as(defect, own), f"{defect.id}:{minimal.name}"
            assert not shows_as(defect, own.model_copy(update={"status": Status.TIMEOUT}))


def test_program_that_cannot_be_captured_is_explained_by_what_was_seen_alone() -> None:
    class Decides(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * 2 if x.max() > 0 else x

    program = Program(Whole(Decides()), (torch.rand(2, 3),))

    def of(frozen: list[Fallback] | None) -> list[str]:
        return explain(
            program,
            Outcome(stage=Stage.COMPARE, status=Status.WRONG),
            packages=PACKAGES,
            workarounds=(),
            hardware="cpu",
            dtype="float32",
            layer=None,
            frozen=frozen,
        )

    assert of(None) == []
    assert of([Fallback("aten::_local_scalar_dense", "")]) == ["frozen-fallback"]
