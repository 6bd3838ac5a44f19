"""An export that leaves operators out, or freezes what they give, is why its numbers are wrong; where they are right,
it is a note."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import torch
import toys
from attention_toys import TwoHeads, program
from cells import changed
from torch import Tensor, nn

from conformance.cases.case import Column
from conformance.cases.outcome import Outcome, Stage, Status
from conformance.graphs.exported import from_exported
from conformance.graphs.graph import Graph, Kind, Operator
from conformance.graphs.integrity import GraphFinding, anchor_table, cause_text, check_integrity
from conformance.programs.program import Program, Whole
from conformance.running.pipeline import run_case
from conformance.targets.emulator import Emulator
from conformance.targets.onnxruntime import OnnxRuntime, OnnxRuntimeTorchScript
from conformance.targets.openvino import OpenVino
from conformance.targets.protocol import Compiled, Options, Target

pytestmark = [
    pytest.mark.filterwarnings("ignore:You are using the legacy TorchScript"),
    pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning"),
]
ATTN = "blocks.0.attn"
TORCHSCRIPT = OnnxRuntimeTorchScript()


def lowered(target: Target, program: Program) -> tuple[Compiled, Graph]:
    """What a target makes of a program, and the graph that it shows."""
    if reason := target.missing():
        pytest.skip(reason)
    shown: list[Graph | Callable[[], Graph]] = []
    options = Options(Column(target.name, target.hardware[0]), "float32", lambda _: None, shown.append)
    compiled = target.compile(program, options)
    (graph,) = shown
    return compiled, graph() if callable(graph) else graph


def findings(program: Program, graph: Graph) -> list[str]:
    return [cause_text([finding]) for finding in check_integrity(program.source, graph)]


def run(target: Target, system: str = "attention_toys:MathAttention", layer: str | None = None) -> Outcome:
    case = changed(toys.CASE, batch=2, system="attention", target=target.name, layer=layer)
    return run_case(case, system, target, lambda _: None)


@pytest.mark.parametrize("how", ["math", "sdpa"])
@pytest.mark.parametrize("target", [Emulator(), OnnxRuntime(), TORCHSCRIPT, OpenVino()], ids=lambda t: t.name)
def test_honest_compiler_has_all_operators_in_their_scopes(target: Target, how: str) -> None:
    """Norms folded into convolutions, a fused attention taken apart: all that is allowed."""
    subject = program(how)
    graph = lowered(target, subject)[1]
    assert not findings(subject, graph)
    assert graph.census()[ATTN] == {Kind.MATMUL: 2, Kind.SOFTMAX: 1}


def test_numpy_in_an_attention_is_found_though_the_trace_gives_the_right_numbers() -> None:
    subject = program("numpy")
    compiled, graph = lowered(TORCHSCRIPT, subject)
    torch.testing.assert_close(compiled(*subject.inputs), subject.module(*subject.inputs), atol=1e-5, rtol=1e-5)
    assert findings(subject, graph) == [
        f"{ATTN}.qkv: conv 1 -> 0",
        f"{ATTN}.proj: conv 1 -> 0 that depend on an input",
        f"{ATTN}.proj: reads a constant of an activation's shape, 2x8x8x12",
    ]


def test_numpy_in_an_attention_is_found_though_nothing_is_left_out() -> None:
    subject = program("numpy_beside")
    compiled, graph = lowered(TORCHSCRIPT, subject)
    torch.testing.assert_close(compiled(*subject.inputs), subject.module(*subject.inputs), atol=1e-5, rtol=1e-5)
    assert findings(subject, graph) == [f"{ATTN}: reads a constant of an activation's shape, 2x1x96x8"]


def test_outcome_of_a_silent_export_is_wrong_in_lowering_and_keeps_its_numbers() -> None:
    outcome = run(TORCHSCRIPT, "attention_toys:NumpyAttention")
    assert (outcome.status, outcome.stage, outcome.signature) == (Status.WRONG, Stage.LOWER, "dropped")
    assert outcome.detail
    assert f"{ATTN}.qkv: conv 1 -> 0" in outcome.detail
    assert outcome.groups["output"].bad
    assert outcome.first_bad_layer == ATTN


def test_silent_export_of_one_layer_alone_is_found_too() -> None:
    outcome = run(TORCHSCRIPT, "attention_toys:NumpyAttention", layer=ATTN)
    assert (outcome.status, outcome.stage) == (Status.WRONG, Stage.LOWER)
    assert outcome.detail
    assert "qkv: conv 1 -> 0" in outcome.detail


def test_honest_outcome_passes() -> None:
    outcome = run(TORCHSCRIPT)
    assert (outcome.status, outcome.stage) == (Status.PASS, Stage.COMPARE), outcome.detail


class NoSoftmax(toys.Planted):
    """Drops the softmax; `right` computes what the module does all the same."""

    right = False

    def compile(self, program: Program, options: Options) -> Compiled:
        exported = program.exported
        for node in list(exported.graph.nodes):
            if "softmax" in str(node.target):
                node.replace_all_uses_with(node.args[0])
                exported.graph.erase_node(node)
        options.lowered(from_exported(exported, program.paths))
        return program.module if self.right else exported.module()


class NoSoftmaxButRight(NoSoftmax):
    """Its numbers do not show it."""

    right = True


def test_dropped_operator_is_the_cause_of_wrong_numbers() -> None:
    outcome = run(NoSoftmax())
    assert (outcome.status, outcome.stage, outcome.signature) == (Status.WRONG, Stage.LOWER, "dropped")
    assert outcome.detail == f"{ATTN}: softmax 1 -> 0"
    assert outcome.groups["output"].bad
    assert not outcome.notes


def test_dropped_operator_is_a_note_where_the_numbers_are_right() -> None:
    outcome = run(NoSoftmaxButRight())
    assert (outcome.status, outcome.stage, outcome.signature) == (Status.PASS, Stage.COMPARE, None)
    assert outcome.notes == [f"graph: {ATTN}: softmax 1 -> 0; numbers right"]


# Faults planted in a graph


def math_graph() -> tuple[Program, Graph]:
    subject = program("math")
    return subject, from_exported(subject.exported, subject.paths)


def bypassed(graph: Graph, kind: Kind, scope: str) -> Graph:
    """The graph with the first such operator gone: whoever read its result reads its first input."""
    gone = next(op for op in graph.operators if (op.kind, op.scope) == (kind, scope))
    return rewired(graph, {gone.outputs[0]: gone.inputs[0]}, gone)


def rewired(graph: Graph, names: dict[str, str], without: Operator | None = None) -> Graph:
    """The graph with other values read in the place of some."""

    def read(op: Operator) -> Operator:
        return replace(op, inputs=tuple(names.get(name, name) for name in op.inputs))

    operators = tuple(read(op) for op in graph.operators if op is not without)
    return replace(graph, operators=operators, outputs=tuple(names.get(name, name) for name in graph.outputs))


@pytest.mark.parametrize(
    ("kind", "scope"),
    [
        (Kind.SOFTMAX, ATTN),
        (Kind.MATMUL, ATTN),
        (Kind.CONV, f"{ATTN}.qkv"),
        (Kind.CONV, "head"),
        (Kind.CONV, "stem.0"),
    ],
)
def test_dropped_operator(kind: Kind, scope: str) -> None:
    subject, graph = math_graph()
    had = 2 if kind == Kind.MATMUL else 1
    assert findings(subject, bypassed(graph, kind, scope)) == [f"{scope}: {kind.value} {had} -> {had - 1}"]


@pytest.mark.parametrize("kind", [Kind.RESIZE, Kind.TOPK])
def test_dropped_resize_and_sort(kind: Kind) -> None:
    class Enlarge(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.interpolate(x, scale_factor=2.0).flatten(1).sort(-1).values

    subject = Program(Whole(Enlarge()), (torch.rand(2, 3, 4, 4),))
    graph = from_exported(subject.exported, subject.paths)
    assert not findings(subject, graph)
    assert findings(subject, bypassed(graph, kind, "")) == [f"the module itself: {kind.value} 1 -> 0"]


def test_dropped_norm_is_folded_into_the_convolution() -> None:
    subject, graph = math_graph()
    assert graph.census()["stem.1"][Kind.NORM] == 1
    assert not findings(subject, bypassed(graph, Kind.NORM, "stem.1"))


def test_convolution_of_one_place_may_be_a_product_of_matrices() -> None:
    subject, graph = math_graph()
    as_product = [replace(op, kind=Kind.MATMUL) if op.scope == "head" else op for op in graph.operators]
    assert not findings(subject, replace(graph, operators=tuple(as_product)))


def test_one_output_that_is_cut_off_from_an_attention_is_found() -> None:
    """Every operator is still there, for the other output."""
    subject = Program(Whole(TwoHeads()), (torch.rand(2, 3, 16, 24),))
    graph = from_exported(subject.exported, subject.paths)
    assert not findings(subject, graph)
    stem = next(op for op in graph.operators if op.scope == "stem.2").outputs[0]
    faulty = [
        replace(op, inputs=(stem, *op.inputs[1:])) if (op.kind, op.scope) == (Kind.CONV, "other") else op
        for op in graph.operators
    ]
    found = findings(subject, replace(graph, operators=tuple(faulty)))
    assert found == [
        f"{ATTN}.qkv: conv 1 -> 0 for output 1",
        f"{ATTN}: matmul 2 -> 0 for output 1",
        f"{ATTN}: softmax 1 -> 0 for output 1",
        f"{ATTN}.proj: conv 1 -> 0 for output 1",
    ]


@pytest.mark.parametrize("joined", [False, True])
@pytest.mark.parametrize("target", [Emulator(), OnnxRuntime(), TORCHSCRIPT, OpenVino()], ids=lambda t: t.name)
def test_honest_outputs_depend_on_all_that_they_did(target: Target, joined: bool) -> None:
    subject = Program(Whole(TwoHeads(joined)), (torch.rand(2, 3, 16, 24),))
    assert not findings(subject, lowered(target, subject)[1])


def twice(graph: Graph, kind: Kind, scope: str | None) -> Iterator[Operator]:
    """The operators, with a second one of this kind right behind the first, read by all that read the first."""
    for op in graph.operators:
        yield op
        if (op.kind, op.scope) == (kind, scope):
            yield Operator(kind, scope, op.outputs, op.outputs)


def test_operator_that_is_there_twice_does_not_hide_one_that_is_gone() -> None:
    subject, graph = math_graph()
    more = replace(graph, operators=tuple(twice(graph, Kind.CONV, "head")))
    assert not findings(subject, more), "more is fine"
    faulty = bypassed(more, Kind.CONV, f"{ATTN}.qkv")
    total = sum(counts[Kind.CONV] for counts in faulty.census().values())
    assert total == sum(counts[Kind.CONV] for counts in subject.source.graph.census().values())
    assert findings(subject, faulty) == [f"{ATTN}.qkv: conv 1 -> 0"]


def test_operator_without_a_scope_may_be_of_any() -> None:
    subject, graph = math_graph()
    assert not findings(subject, replace(graph, operators=tuple(replace(op, scope=None) for op in graph.operators)))


def test_scope_is_inferred_where_the_graph_does_not_say() -> None:
    subject, graph = math_graph()
    nowhere = [replace(op, scope=None) for op in bypassed(graph, Kind.CONV, f"{ATTN}.proj").operators]
    (found,) = findings(subject, replace(graph, operators=tuple(nowhere)))
    assert "conv 1 -> 0 (scope inferred from the order of the operators)" in found
    nowhere = [replace(op, scope=None) for op in bypassed(graph, Kind.SOFTMAX, ATTN).operators]
    (found,) = findings(subject, replace(graph, operators=tuple(nowhere)))
    assert found == f"{ATTN}: softmax 1 -> 0 (scope inferred from the order of the operators)"


def frozen(graph: Graph, kind: Kind, scope: str, shape: tuple[int, ...]) -> Graph:
    """The graph with a constant in the place of what such operators give."""
    given = {op.outputs[0]: "frozen" for op in graph.operators if (op.kind, op.scope) == (kind, scope)}
    return replace(rewired(graph, given), constants={**graph.constants, "frozen": shape})


def test_constant_folded_activation() -> None:
    subject, graph = math_graph()
    found = findings(subject, frozen(graph, Kind.CONV, f"{ATTN}.proj", (2, 8, 8, 12)))
    assert f"{ATTN}.proj: conv 1 -> 0" in found
    assert found[-1] == "the module itself: reads a constant of an activation's shape, 2x8x8x12"


def test_constant_that_has_the_shape_of_a_weight_is_none() -> None:
    subject, graph = math_graph()
    spare = Operator(None, "", ("spare", graph.outputs[0]), ("sum",))
    for shape, found in (((24, 8, 1, 1), False), ((2, 8, 8, 12), True)):
        after = replace(
            graph,
            operators=(*graph.operators, spare),
            outputs=("sum",),
            constants={**graph.constants, "spare": shape},
        )
        assert bool(findings(subject, after)) is found


def test_operators_behind_a_frozen_one_depend_on_no_input() -> None:
    subject, graph = math_graph()
    found = findings(subject, frozen(graph, Kind.NORM, "stem.1", (1,)))
    assert "stem.0: conv 1 -> 0" in found
    assert "head: conv 1 -> 0 that depend on an input" in found
    assert f"{ATTN}: matmul 2 -> 0 that depend on an input" in found
    assert "the module itself: output 0 depends on no input" in found


def test_description_is_short_and_names_each_module_once() -> None:
    findings = [GraphFinding("dropped", f"m{index // 2}", f"text {index}") for index in range(24)]
    text = cause_text(findings)
    assert text.startswith("m0: text 0, text 1; m1: text 2, text 3")
    assert text.endswith("; and 4 modules more")


def test_table_says_what_there_was_and_is() -> None:
    subject, graph = math_graph()
    lines = {
        line.split()[0]: line
        for line in anchor_table(subject.source, bypassed(graph, Kind.SOFTMAX, ATTN)).splitlines()
    }
    assert lines[ATTN].endswith("matmul 2 -> 2, softmax 1 -> 0")
    assert lines["head"].endswith("conv 1 -> 1")


# YOLO12, the model that users saw it in


def test_yolo12_through_numpy() -> None:
    """At 64 x 96, with random weights: what is compared is the graph."""
    tasks = pytest.importorskip("ultralytics.nn.tasks")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = tasks.DetectionModel("yolo12n.yaml", ch=3, nc=80, verbose=False).eval().requires_grad_(False)
    module.fuse(verbose=False)
    module.model[-1].export = True
    images = torch.rand(1, 3, 64, 96)
    module(images)
    for part in module.modules():
        if type(part).__name__ == "AAttn":
            part.forward = through_numpy(part.forward)
    subject = Program(Whole(module), (images,))
    found = findings(subject, lowered(TORCHSCRIPT, subject)[1])
    for scope in ("model.6.m.0.0.attn", "model.8.m.1.1.attn"):
        assert f"{scope}: matmul 2 -> 0" in found
        assert f"{scope}: softmax 1 -> 0" in found
        assert f"{scope}.qkv.conv: conv 1 -> 0" in found
    assert all(".attn" in text or "reads a constant" in text for text in found), "all else is there"


def through_numpy(forward: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    return lambda x: torch.from_numpy(forward(x.detach()).numpy() * 1)
