"""What operators models have next to each other, as programs of their own."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchmarks.mine.neighbours import programs, signature, targets
from conformance.graphs.exported import mark_inputs
from conformance.measuring.judge import judged, wanted
from conformance.measuring.programs import mined, sample
from conformance.measuring.programs import programs as kept
from conformance.operators.results import State


class Net(nn.Module):
    """A convolution, a norm, a split of what it gives, a sum."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)

    def forward(self, x: Tensor) -> Tensor:
        one, other = self.norm(self.conv(x)).split([4, 4], 1)
        found: Tensor = one + other
        return found


def test_chains_are_programs() -> None:
    exported = torch.export.export(Net().eval(), (torch.zeros(2, 3, 8, 8),), strict=False)
    mark_inputs(exported)
    graph = exported.graph
    assert targets(graph) == [
        "aten.conv2d.default",
        "aten.batch_norm.default",
        "aten.split_with_sizes.default",
        "aten.add.Tensor",
    ]
    pairs, triples = (list(programs(graph, length)) for length in (2, 3))
    conv, norm, split, add = targets(graph)
    both = ["getitem", "getitem"]
    names = [[call.target for call in one.calls] for one in pairs]
    assert names[:3] == [[conv, norm], [norm, split, *both], [split, *both, add]]
    assert len(triples[0].outputs) == 2, "of a split all parts are given"
    assert {values.kind for values in pairs[0].constants.values()} == {"normal", "positive"}, (
        "no variance is negative"
    )
    assert list(pairs[0].inputs) == ["x0"]


def test_sizes_are_no_difference() -> None:
    small, large = (
        next(programs(torch.export.export(Net().eval(), (torch.zeros(2, 3, size, size),), strict=False).graph, 2))
        for size in (8, 12)
    )
    assert small != large
    assert signature(small) == signature(large)


def test_programs_that_are_kept_can_be_run() -> None:
    """Eager PyTorch is right about each, and other inputs give another answer."""
    assert len(kept()) == len(mined().programs)
    assert max(mined().operators.values()) <= mined().models
    for program in list(kept().values())[::10]:
        one = sample(program)
        want, next_ = (wanted(one, inputs) for inputs in (one.inputs, one.others))
        eager, other = (tuple(each.eager for each in some) for some in (want, next_))
        assert judged(one, eager, other, want, next_).state in (State.RIGHT, State.UNDECIDED)
        assert any(not torch.equal(*pair) for pair in zip(one.inputs, one.others, strict=True))
