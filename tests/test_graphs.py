"""Graphs of all origins in one form: what depends on what, of which kind it is, in which module."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from conformance.graphs.eager import source
from conformance.graphs.exported import from_exported
from conformance.graphs.graph import Graph, Kind, Operator, Source, joined
from conformance.graphs.hlo import from_hlo
from conformance.graphs.kinds import kind_of
from conformance.graphs.onnx import from_onnx
from conformance.programs.program import Program, Whole

X = torch.arange(24.0).reshape(2, 3, 4) / 24


class Lambda(nn.Module):
    """A module around a function of (module, x)."""

    def __init__(self, function: Callable[[Any, Tensor], Tensor], **parts: nn.Module) -> None:
        super().__init__()
        self.function = function
        for name, part in parts.items():
            self.add_module(name, part)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self, x)


def eager(function: Callable[[Any, Tensor], Tensor], x: Tensor = X, **parts: nn.Module) -> Source:
    return source(Whole(Lambda(function, **parts).eval()), (x,))


def counts(graph: Graph, input_dependent: bool = True) -> dict[str | None, dict[str, int]]:
    return {
        scope: {kind.value: n for kind, n in found.items()} for scope, found in graph.census(input_dependent).items()
    }


@pytest.mark.parametrize(
    ("schema", "kind"),
    [
        ("aten::convolution", Kind.CONV),
        ("aten::baddbmm", Kind.MATMUL),
        ("aten::_scaled_dot_product_flash_attention_for_cpu", Kind.ATTENTION),
        ("aten::upsample_bilinear2d", Kind.RESIZE),
        ("torchvision::nms", Kind.NMS),
        ("aten::add", None),
    ],
)
def test_kinds(schema: str, kind: Kind | None) -> None:
    assert kind_of(schema) == kind


PATHS = frozenset(
    ["", "module", "module.m", "module.m.0", "module.m.0.conv", "module.m.1", "module.m.1.conv", "module.head"]
)


@pytest.mark.parametrize(
    ("names", "scope"),
    [
        (["module", "m", "m.0", "conv"], "m.0.conv"),  # the older exporter to ONNX
        (["module", "m.1", "conv"], "m.1.conv"),  # a list, which is never called
        (["", "module", "module.m.0", "conv"], "m.0.conv"),  # torch.export, where `forward` was replaced
        (["", "module", "module.m.0", "module.m.0.conv"], "m.0.conv"),
        (["module"], ""),
        (["module", "conv"], None),  # of two modules: which?
        (["module", "other"], None),
        ([], None),
    ],
)
def test_scope_of_a_chain_of_calls(names: list[str], scope: str | None) -> None:
    assert joined(names, PATHS) == scope


def test_what_is_live_and_what_is_fed() -> None:
    graph = Graph(
        operators=(
            Operator(Kind.CONV, "a", ("x", "w"), ("1",)),
            Operator(Kind.CONV, "dead", ("1",), ("2",)),
            Operator(Kind.CONV, "constant", ("w",), ("3",)),
            Operator(Kind.ATTENTION, "b", ("1", "3"), ("4",)),
        ),
        inputs=("x",),
        outputs=("4",),
        constants={"w": (1,)},
    )
    assert counts(graph) == {"a": {"conv": 1}, "b": {"matmul": 2, "softmax": 1}}
    assert counts(graph, input_dependent=False) == counts(graph) | {"constant": {"conv": 1}}


# What a module computes


def test_operators_are_counted_in_the_module_that_calls_them() -> None:
    found = eager(lambda m, x: m.fc(x).softmax(-1) @ x.mT, fc=nn.Linear(4, 4))
    assert counts(found.graph) == {"fc": {"matmul": 1}, "": {"softmax": 1, "matmul": 1}}
    assert set(found.graph.constants.values()) == {(4, 4), (4,)}


def test_what_no_output_needs_does_not_count() -> None:
    assert not counts(eager(lambda m, x: (m.fc(x), x * 2)[1], fc=nn.Linear(4, 4)).graph)


def test_write_into_a_view_is_seen() -> None:
    def write(m: nn.Module, x: Tensor) -> Tensor:
        y = torch.zeros(2, 3, 4)
        y[:, 1:] = x[:, :2] @ torch.ones(4, 4)
        return y

    assert counts(eager(write).graph) == {"": {"matmul": 1}}
    subject = Program(Whole(Lambda(write)), (X,))
    assert counts(from_exported(subject.exported, subject.paths)) == {"": {"matmul": 1}}


def test_resize_to_the_same_size_does_not_count() -> None:
    def resize(m: nn.Module, x: Tensor) -> Tensor:
        return nn.functional.interpolate(nn.functional.interpolate(x[None], size=(3, 4)), size=(6, 8))

    assert counts(eager(resize).graph) == {"": {"resize": 1}}


def test_detour_through_numpy_is_an_edge() -> None:
    def detour(m: Any, x: Tensor) -> Tensor:
        y: Tensor = m.after(torch.from_numpy(np.tanh(m.before(x).detach().numpy()[:, :, :3])))
        return y

    found = eager(detour, before=nn.Linear(4, 4), after=nn.Linear(3, 3))
    assert counts(found.graph) == {"before": {"matmul": 1}, "after": {"matmul": 1}}
    assert found.activations[2, 3, 3] == ("",), "where the tensor comes from outside torch"


def test_tensor_from_outside_torch_that_is_always_the_same_is_a_constant() -> None:
    found = eager(lambda m, x: x + m.fc(torch.tensor([[1.0, 2.0, 3.0, 4.0]])), fc=nn.Linear(4, 4))
    assert not counts(found.graph)
    assert counts(found.graph, input_dependent=False) == {"fc": {"matmul": 1}}
    assert (1, 4) in found.constants
    assert (1, 4) not in found.activations


def test_running_leaves_the_module_as_it_was() -> None:
    module = Whole(Lambda(lambda m, x: m.fc(x), fc=nn.Linear(4, 4)))
    source(module, (X,))
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in module.modules())


# Lowered graphs, written by hand


def test_onnx_shapes_are_no_edges_and_the_graphs_inside_an_if_are_read() -> None:
    helper = pytest.importorskip("onnx.helper")
    node, info = helper.make_node, helper.make_tensor_value_info
    conv, identity = node("Conv", ["x", "w"], ["c"], name="/module/m/m.0/conv/Conv"), node("Identity", ["w"], ["d"])
    inner = helper.make_graph([conv], "then", [], [info("c", 1, None)])
    other = helper.make_graph([identity], "else", [], [info("d", 1, None)])
    nodes = [
        node("Shape", ["x"], ["shape"]),
        node("MatMul", ["w", "shape"], ["constant"], name="/module/head/MatMul"),
        node("If", ["flag"], ["y"], then_branch=inner, else_branch=other),
        node("Add", ["y", "constant"], ["z"]),
    ]
    weights = [helper.make_tensor("w", 1, (1, 1, 1, 1), [1.0]), helper.make_tensor("flag", 9, (), [True])]
    x, z = (info(name, 1, None) for name in "xz")
    graph = from_onnx(helper.make_model(helper.make_graph(nodes, "g", [x], [z], weights)), PATHS)
    assert counts(graph) == {"m.0.conv": {"conv": 1}}
    assert counts(graph, input_dependent=False) == {"head": {"matmul": 1}, "m.0.conv": {"conv": 1}}
    assert graph.inputs == ("x",)
    assert graph.constants == {"w": (1, 1, 1, 1), "flag": ()}


HLO = """HloModule IrToHlo.20

%MaxComputation.5 (x.6: f32[], y.7: f32[]) -> f32[] {
  %x.6 = f32[] parameter(0)
  %y.7 = f32[] parameter(1)
  ROOT %maximum.8 = f32[] maximum(f32[] %x.6, f32[] %y.7)
}

ENTRY %IrToHlo.20 (p0.1: f32[4,4], p1.2: f32[2,4], p2.3: f32[2,4]) -> (f32[2,4]) {
  %p1.2 = f32[2,4]{1,0} parameter(1), metadata={op_type="xla__device_data" op_name="#0#xla__device_data"}
  %p0.1 = f32[4,4]{1,0} parameter(0)
  %dot.4 = f32[2,4]{1,0} dot(f32[2,4]{1,0} %p1.2, f32[4,4]{1,0} %p0.1), lhs_contracting_dims={1}, \
rhs_contracting_dims={0}, metadata={op_type="aten__mm" op_name="a.fc#1#aten__mm.1/aten__mm"}
  %constant.9 = f32[] constant(-inf)
  %reduce.10 = f32[2]{0} reduce(f32[2,4]{1,0} %dot.4, f32[] %constant.9), dimensions={1}, to_apply=%MaxComputation.5
  %broadcast.11 = f32[2,4]{1,0} broadcast(f32[2]{0} %reduce.10), dimensions={0}
  %subtract.12 = f32[2,4]{1,0} subtract(f32[2,4]{1,0} %dot.4, f32[2,4]{1,0} %broadcast.11)
  %exponential.13 = f32[2,4]{1,0} exponential(f32[2,4]{1,0} %subtract.12), \
metadata={op_type="aten__softmax" op_name="a#2#aten__softmax"}
  %exponential.14 = f32[2,4]{1,0} exponential(f32[2,4]{1,0} %exponential.13)
  %p2.3 = f32[2,4]{1,0} parameter(2)
  %sort.15 = (f32[2,4]{1,0}, s32[2,4]{1,0}) sort(f32[2,4]{1,0} %exponential.14, f32[2,4]{1,0} %p2.3), dimensions={1}
  %get-tuple-element.16 = f32[2,4]{1,0} get-tuple-element((f32[2,4]{1,0}, s32[2,4]{1,0}) %sort.15), index=0
  %dot.17 = f32[2,4]{1,0} dot(f32[2,4]{1,0} %get-tuple-element.16, f32[4,4]{1,0} %p0.1), \
metadata={op_type="aten__upsample_nearest2d" op_name="a.up#3#aten__upsample_nearest2d"}
  ROOT %tuple.18 = (f32[2,4]{1,0}) tuple(f32[2,4]{1,0} %dot.17)
}
"""


def test_hlo() -> None:
    graph = from_hlo(HLO, {1: 0})
    assert (graph.inputs, graph.outputs) == (("p1.2",), ("dot.17",))
    assert graph.constants == {"p0.1": (4, 4), "constant.9": (), "p2.3": (2, 4)}
    resize = {"a.up": {"resize": 1}}  # is no product, and has no gather where there is one row
    assert counts(graph) == {"a.fc": {"matmul": 1}, "a": {"softmax": 1}, None: {"topk": 1}} | resize
    assert not counts(from_hlo(HLO, {}))
