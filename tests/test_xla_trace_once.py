"""In the torch-xla environment: a program is traced once, and what was computed meanwhile is a constant of it."""

from __future__ import annotations

import os

import pytest
import torch
from cells import cell
from operators_after import FROZEN, MOVED
from torch import Tensor, nn

from conformance.cases.case import Column
from conformance.cases.outcome import Outcome, Stage, Status
from conformance.graphs.graph import Fallback
from conformance.programs.program import Program, Whole
from conformance.running.pipeline import run_case
from conformance.targets.protocol import Compiled, Options
from conformance.targets.xla import Xla

pytestmark = pytest.mark.xla
XLA = Xla()
if XLA.missing():
    pytest.skip("needs the torch-xla environment", allow_module_level=True)
os.environ.update(XLA.variables)  # before torch-xla is imported: functionalization off, as torch-neuronx has it

# What of an operator torch-xla counts as computed, where it is not called as the operator is.
COUNTED = {
    "item": "aten::_local_scalar_dense",
    "bool": "aten::_local_scalar_dense",
    "maskedselect": "aten::masked_select",
    "maskread": "aten::nonzero",
    "maskwritten": "aten::nonzero",
    "argwhere": "aten::nonzero",
    "unique": "aten::_unique2",
    "uniqueconsecutive": "aten::unique_consecutive",
    "repeats": "aten::repeat_interleave",
    "cummin": "aten::_cummin_helper",
    "nanmean": "aten::nansum",
    "rounddecimals": "aten::round",
    "bicubic": "aten::upsample_bicubic2d",
    "gridsample": "aten::grid_sampler_2d",
    "roialign": "torchvision::roi_align",
    "nms": "torchvision::nms",
    "cpu": "aten::_to_copy to the CPU",
    "tolist": "aten::_to_copy to the CPU",
    "numpy": "aten::_to_copy to the CPU",
    "copied": "aten::copy_ to the CPU",
}


def judge(variant: str) -> Outcome:
    case = cell("frozen", variant, "detect", 2, 16, 16, "float32", "xla")
    return run_case(case, "operators_after:Frozen", XLA, lambda _: None)


@pytest.mark.parametrize("variant", FROZEN | MOVED)
def test_operator_that_is_left_to_the_cpu_is_wrong_and_named(variant: str) -> None:
    outcome = judge(variant)
    assert (outcome.status, outcome.stage) == (Status.WRONG, Stage.COMPARE)
    assert "computed while it was traced, a constant since: " in str(outcome.detail)
    assert COUNTED.get(variant, f"aten::{variant}") in str(outcome.detail)
    assert outcome.defects == ["frozen-fallback"]
    assert not any("conv 1 -> 0" in note for note in outcome.notes), "no consequence of it is told as another cause"


def compiled(module: nn.Module, *inputs: Tensor) -> tuple[Compiled, list[Fallback]]:
    fallbacks: list[Fallback] = []
    options = Options(Column("xla"), "float32", lambda _: None, read, fallbacks.extend)
    with torch.no_grad():
        return XLA.compile(Program(Whole(module.eval()), inputs), options), fallbacks


def read(graph: object) -> None:
    """What looks at a graph that is shown."""
    if callable(graph):
        graph()


class Branches(nn.Module):
    """Images in 0..255 are divided, those in 0..1 are not."""

    def forward(self, x: Tensor) -> Tensor:
        return (x / 255 if x.max() > 2 else x) * 3


def test_branch_is_taken_once_for_the_images_of_the_trace() -> None:
    dark, bright = torch.rand(2, 3, 4, 4), torch.rand(2, 3, 4, 4) * 255
    run, fallbacks = compiled(Branches(), dark)
    assert [one.operator for one in fallbacks] == ["aten::_local_scalar_dense"]
    torch.testing.assert_close(run(dark)[0], dark * 3)
    torch.testing.assert_close(run(bright)[0], bright * 3)


class Counts(nn.Module):
    """As many ones as there are rows, counted on the CPU."""

    def forward(self, x: Tensor) -> Tensor:
        return x * x.new_ones(x.shape[2]).sum().cpu().to(x.device)


def test_what_depends_on_a_shape_alone_may_be_taken_to_the_cpu() -> None:
    run, fallbacks = compiled(Counts(), torch.rand(2, 3, 4, 4))
    assert fallbacks == []
    torch.testing.assert_close(run(image := torch.rand(2, 3, 4, 4))[0], image * 4)


class Scopes(nn.Module):
    """A table that is resized as it is, and a feature map."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.rand(1, 3, 4, 4), requires_grad=False)
        self.up = nn.Upsample(scale_factor=2, mode="bicubic")
        self.positions = nn.Upsample(scale_factor=2, mode="bicubic")

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.up(x) + self.positions(self.table)
        return result


def test_fallbacks_have_the_module_they_are_in() -> None:
    _, fallbacks = compiled(Scopes(), torch.rand(2, 3, 4, 4))
    assert [(one.operator, one.scope) for one in fallbacks] == [
        ("aten::upsample_bicubic2d", "up"),
        ("aten::upsample_bicubic2d", "positions"),
    ]


class Constants(nn.Module):
    """Its first input, written into; constants of the device and of the CPU; one value twice."""

    def forward(self, x: Tensor, unused: Tensor) -> tuple[Tensor, ...]:
        y = x.mul_(2)
        return x, y, y, torch.ones(2, device=x.device), torch.arange(3), y[:, :1]


def test_outputs_of_every_kind_come_back() -> None:
    x, unused = torch.rand(2, 3), torch.rand(1)
    run, fallbacks = compiled(Constants(), x, unused)
    other = torch.rand(2, 3)
    given = run(other, unused)
    wanted = Constants()(other.clone(), unused)
    assert len(given) == len(wanted) == 6
    assert not fallbacks
    assert all(torch.equal(one, two) and one.dtype == two.dtype for one, two in zip(given, wanted, strict=True))


class Elsewhere(nn.Module):
    """All that it gives was computed on the CPU."""

    def forward(self, x: Tensor) -> Tensor:
        return x.cpu() * 2


def test_program_of_constants_alone_runs() -> None:
    x = torch.rand(2, 3)
    run, _ = compiled(Elsewhere(), x)
    assert torch.equal(run(torch.rand(2, 3))[0], x * 2), "that of the trace"
