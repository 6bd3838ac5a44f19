"""Partition: every operator is on exactly one side, and a part that is left out or counted twice is noticed."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from rich.console import Console
from torch import Tensor, nn

from conformance.core.errors import UserError
from conformance.partition.measure import measure
from conformance.partition.share import Cost, Cut, MeasuredPass, OperatorCost, Part, by_name
from conformance.partition.show import partition_json, print_partition

PARTS = {"body": ("stem", "middle"), "head": ("head",)}
BODY, HEAD, APART, FUSED = (
    Cut(programs) for programs in ((("body",),), (("head",),), (("body",), ("head",)), (("body", "head"),))
)


class Detector(nn.Module):
    """A body in two modules, a head that is called twice, a sort that no device can do."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.middle = nn.Sequential(nn.Conv2d(8, 8, 1), nn.ReLU())
        self.head = nn.Linear(8, 4)

    def forward(self, image: Tensor) -> Tensor:
        hidden = self.middle(self.stem(image)).mean((2, 3))
        y: Tensor = self.head(hidden) + self.head(hidden * 2)
        return y.sort().values


@pytest.fixture(scope="module")
def measured() -> MeasuredPass:
    image = torch.rand(1, 3, 16, 16)
    return measure(Detector().eval(), (image,), PARTS, "detector 16x16", "here", runs=2)


def test_every_operator_is_found_in_its_part(measured: MeasuredPass) -> None:
    found = {(operator.name, operator.part): operator.calls for operator in measured.operators}
    assert found == {
        ("aten::conv2d", "body"): 2,
        ("aten::relu", "body"): 1,
        ("aten::linear", "head"): 2,
        ("aten::mean", None): 1,
        ("aten::mul", None): 1,
        ("aten::add", None): 1,
        ("aten::sort", None): 1,
    }
    assert all(operator.milliseconds > 0 for operator in measured.operators)


def test_flops_and_bytes_are_those_of_the_arithmetic(measured: MeasuredPass) -> None:
    pixels = 16 * 16
    body, head = measured.parts
    assert body == Part("body", 2 * pixels * (8 * 27 + 8 * 8), 4 * 3 * pixels, 4 * 8 * pixels)
    assert head == Part("head", 2 * 2 * 8 * 4, 4 * 2 * 8, 4 * 2 * 4)
    assert measured.flops == body.flops + head.flops
    assert measured.moved(BODY) == body.received + body.returned
    assert measured.moved(APART) - measured.moved(FUSED) == head.received


@pytest.mark.parametrize("cut", [BODY, HEAD, APART, FUSED])
def test_both_sides_are_the_whole(measured: MeasuredPass, cut: Cut) -> None:
    device, cpu, whole = measured.on_device(cut), measured.on_cpu(cut), measured.whole()
    assert (device.calls + cpu.calls, device.flops + cpu.flops) == (whole.calls, whole.flops)
    assert device.milliseconds + cpu.milliseconds == pytest.approx(whole.milliseconds)
    ratio = measured.ratio(cut)
    assert 0 < ratio.calls < 1
    assert 0 < ratio.milliseconds < 1
    assert 0 < ratio.flops <= 1


def test_ratios(measured: MeasuredPass) -> None:
    assert measured.ratio(BODY).calls == 3 / 9
    assert measured.ratio(FUSED).calls == 5 / 9
    assert measured.ratio(FUSED).flops == 1
    assert measured.ratio(APART) == measured.ratio(FUSED)
    assert by_name(measured.operators)["aten::conv2d"].calls == 2


@pytest.mark.parametrize("times", [0, 2])
def test_part_that_is_left_out_or_counted_twice_changes_the_ratio(measured: MeasuredPass, times: int) -> None:
    head = tuple(operator for operator in measured.operators if operator.part == "head")
    others = tuple(operator for operator in measured.operators if operator.part != "head")
    wrong = replace(measured, operators=(*others, *head * times))
    assert wrong.ratio(FUSED).calls != measured.ratio(FUSED).calls
    assert wrong.whole().calls != measured.whole().calls


def test_times_are_those_of_the_profiler() -> None:
    """The outermost operators' times are the sum of all operators' own times: nothing is counted twice or missed."""
    from conformance.partition.measure import _operators

    model, image = Detector().eval(), torch.rand(1, 3, 64, 64)
    with torch.no_grad(), torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiled:
        model(image)
    own = sum(row.self_cpu_time_total for row in profiled.key_averages())
    assert sum(o.milliseconds for o in _operators(profiled.events(), runs=1)) == pytest.approx(own / 1000, rel=0.01)


@pytest.mark.parametrize(
    ("programs", "said"),
    [((("body", "body"),), "twice"), ((("body",), ("head", "body")), "twice"), ((("haed",),), "did you mean 'head'")],
)
def test_cut_that_cannot_be(measured: MeasuredPass, programs: tuple[tuple[str, ...], ...], said: str) -> None:
    with pytest.raises(UserError, match=said):
        measured.on_device(Cut(programs))


@pytest.mark.parametrize("parts", [{"a": ("stem",), "b": ("stem",)}, {"a": ("middle",), "b": ("middle.0",)}])
def test_parts_may_not_overlap(parts: dict[str, tuple[str, ...]]) -> None:
    with pytest.raises(UserError, match="counted twice"):
        measure(Detector().eval(), (torch.rand(1, 3, 16, 16),), parts, "detector", "here")


def test_measuring_leaves_no_hooks() -> None:
    model = Detector().eval()
    measure(model, (torch.rand(1, 3, 16, 16),), PARTS, "detector", "here", runs=1)
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in model.modules())


def test_tables_and_json() -> None:
    operators = (OperatorCost("aten::conv2d", "body", 3, 30.0), OperatorCost("aten::sort", None, 1, 10.0))
    found = MeasuredPass("m", "on a test", operators, (Part("body", 90, 2_000_000, 1_000_000),), 100)
    assert found.on_cpu(BODY) == Cost(1, 10.0, 10)
    console = Console(record=True, width=120)
    print_partition(found, [BODY], console)
    text = console.export_text()
    assert all(part in text for part in ("on a test", "30.0 (3)", "75.0%", "90.0%", "3.0"))
    (cut,) = json.loads(partition_json(found, [BODY]))["cuts"]
    assert cut["ratio"] == {"calls": 0.75, "milliseconds": 0.75, "flops": 0.9}
    assert cut["bytes_moved"] == 3_000_000


def test_cuts_of_fasterrcnn() -> None:
    """More is on the device with every part; fused or not, the same is, and fused less is moved."""
    from conformance.partition.fasterrcnn import CUTS, measured
    from conformance.systems.fasterrcnn import FasterRcnn

    if reason := FasterRcnn().missing():
        pytest.skip(reason)
    found = measured("mobilenet", 64, 64, runs=1)
    ratios = [found.ratio(cut) for cut in CUTS]
    assert ratios[0].calls < ratios[1].calls == ratios[2].calls < ratios[3].calls < 1
    assert ratios[3].flops == 1
    assert ratios[0].flops < ratios[2].flops < ratios[3].flops
    assert found.moved(CUTS[2]) < found.moved(CUTS[1])
    assert "1 image" in found.where
    (convolutions,) = (o for o in found.operators if (o.name, o.part) == ("aten::conv2d", "rpn-head"))
    assert convolutions.calls == 9, "three for each of three levels"


@pytest.mark.parametrize(
    ("variant", "size", "said"),
    [("r5", 64, "did you mean 'r50'"), ("r50", 70, "is not divisible by 32"), ("r50", 0, "0x0 is impossible")],
)
def test_impossible_model(variant: str, size: int, said: str) -> None:
    from conformance.partition.fasterrcnn import measured
    from conformance.systems.fasterrcnn import FasterRcnn

    if reason := FasterRcnn().missing():
        pytest.skip(reason)
    with pytest.raises(UserError, match=said):
        measured(variant, size, size)
