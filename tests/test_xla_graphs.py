"""In the torch-xla environment: what its graphs keep, and what they freeze. `make test-xla`."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
import torch
from attention_toys import TwoHeads, program
from cells import cell
from torch import Tensor, nn

from conformance.cases.case import Column
from conformance.graphs.graph import Graph, Kind
from conformance.graphs.integrity import cause_text, check_integrity
from conformance.programs.program import Program, Whole
from conformance.systems.yolo26 import Yolo26
from conformance.targets.protocol import Compiled, Options
from conformance.targets.xla import Xla

pytestmark = pytest.mark.xla
XLA = Xla()
if XLA.missing():
    pytest.skip("needs the torch-xla environment", allow_module_level=True)
os.environ.update(XLA.variables)  # before torch-xla is imported: functionalization off, as torch-neuronx has it
ATTN = "blocks.0.attn"


@torch.no_grad()
def lowered(subject: Program) -> tuple[Compiled, Graph]:
    """The program compiled, and the graph that the target shows of it."""
    graphs: list[Graph] = []

    def read(shown: Graph | Callable[[], Graph]) -> None:
        assert callable(shown), "it is traced for who asks"
        graphs.append(shown())

    compiled = XLA.compile(subject, Options(Column("xla"), "float32", lambda _: None, read))
    (graph,) = graphs
    return compiled, graph


@pytest.mark.parametrize("how", ["math", "sdpa"])
def test_honest_attention_is_whole_and_in_its_scope(how: str) -> None:
    subject = program(how)
    graph = lowered(subject)[1]
    assert not check_integrity(subject.source, graph)
    assert graph.census()[ATTN] == {Kind.MATMUL: 2, Kind.SOFTMAX: 1}
    assert None not in graph.census()


@pytest.mark.parametrize("joined", [False, True])
def test_honest_outputs_depend_on_all_that_they_did(joined: bool) -> None:
    subject = Program(Whole(TwoHeads(joined)), (torch.rand(2, 3, 16, 24),))
    assert not check_integrity(subject.source, lowered(subject)[1])


class Nothing(nn.Module):
    """Gives what it is given, by an operator that torch-xla leaves out."""

    def __init__(self, how: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.how = how

    def forward(self, x: Tensor) -> Tensor:
        return self.how(x)


@pytest.mark.parametrize("how", [lambda x: x[:, :8], Tensor.clone], ids=["slice of all", "clone"])
def test_operator_that_is_left_out_takes_no_other_ones_place(how: Callable[[Tensor], Tensor]) -> None:
    """YOLOv9e's CBLinear: a convolution, of whose channels the first and only part is taken."""
    module = nn.Sequential(nn.Conv2d(3, 8, 1), Nothing(how), nn.SiLU()).requires_grad_(False)
    subject = Program(Whole(module), (torch.rand(2, 3, 16, 24),))
    graph = lowered(subject)[1]
    assert not check_integrity(subject.source, graph)
    assert graph.census() == {"0": {Kind.CONV: 1}}


def test_detour_through_numpy_is_right_for_the_images_of_the_trace_alone_and_found() -> None:
    subject = program("numpy")
    compiled, graph = lowered(subject)
    others = tuple(x.flip(-1) for x in subject.inputs)
    with torch.no_grad():
        torch.testing.assert_close(compiled(*subject.inputs), subject.module(*subject.inputs), atol=1e-5, rtol=1e-5)
        assert not torch.allclose(compiled(*others)[0], subject.module(*others)[0], atol=1e-3)
    found = cause_text(check_integrity(subject.source, graph))
    assert f"{ATTN}.qkv: conv 1 -> 0" in found
    assert f"{ATTN}: reads a constant of an activation's shape, 2x1x96x8" in found


def test_graph_that_is_shown_is_not_run_and_leaves_nothing_behind() -> None:
    import torch_xla

    subject = program("math")
    debugging = torch_xla._XLAC._get_ir_debug()
    compiled, _ = lowered(subject)
    assert torch_xla._XLAC._get_ir_debug() == debugging
    with torch.no_grad():
        torch.testing.assert_close(compiled(*subject.inputs), subject.module(*subject.inputs), atol=1e-5, rtol=1e-5)


def test_yolo26n_has_all_its_operators_however_wrong_the_numbers_are() -> None:
    pytest.importorskip("ultralytics")
    system = Yolo26()
    model = system.build("n", "detect")
    images = system.inputs(cell("yolo26", "n", "detect", 1, 64, 96, "float32", "").subject, 0)
    model.module(*images)
    subject = Program(Whole(model.module), images)
    graph = lowered(subject)[1]
    assert not check_integrity(subject.source, graph)
    assert graph.census() == subject.source.graph.census()
