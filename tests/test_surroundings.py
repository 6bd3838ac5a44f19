"""A target that changes what it is given, or torch itself, changes nothing for the next one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pytest
import torch
import toys
from cells import changed
from torch import nn

from conformance.cases.outcome import Outcome, Stage, Status
from conformance.programs.fingerprint import fingerprint
from conformance.programs.program import Program
from conformance.running.child import PROCESS, Job
from conformance.running.pipeline import run_case
from conformance.running.surroundings import Surroundings, changes_text
from conformance.running.worker import Worker
from conformance.systems.protocol import Model
from conformance.targets.protocol import Compiled, Options


def nothing(_: object) -> None:
    """Changes nothing."""


@dataclass(frozen=True)
class Vandal(toys.Planted):
    """Computes what it should, and leaves something changed behind."""

    spoil: Callable[[Program], object] = nothing

    def compile(self, program: Program, options: Options) -> Compiled:
        options.enter(Stage.COMPILE)
        right = program.copied().module
        self.spoil(program)
        return lambda *inputs: right(*inputs)


def zero_weights(program: Program) -> None:
    for parameter in program.module.parameters():
        parameter.zero_()


def drop_activation(program: Program) -> None:
    program.module.set_submodule("module.stem.1", nn.Identity())


def cut_graph(program: Program) -> None:
    graph = program.exported.graph
    for node in list(graph.nodes):
        if "silu" in str(node.target):
            node.replace_all_uses_with(node.args[0])
            graph.erase_node(node)


def zero_inputs(program: Program) -> None:
    program.inputs[0].zero_()


def patch_silu(_: object) -> None:
    nn.functional.silu = lambda x, inplace=False: x  # type: ignore[assignment]


def patch_convolution(_: object) -> None:
    nn.Conv2d.forward = lambda self, x: self._conv_forward(x, self.weight, None)  # type: ignore[assignment, method-assign]


def reach_for_the_original(program: Program) -> None:
    zero_weights(program.origin)


CASTS = Vandal(spoil=lambda program: program.module.bfloat16())
ZEROES = Vandal(spoil=zero_weights)
FUSES = Vandal(spoil=drop_activation)
CUTS = Vandal(spoil=cut_graph)
ZEROES_INPUTS = Vandal(spoil=zero_inputs)
PATCHES_SILU = Vandal(spoil=patch_silu)
PATCHES_CONVOLUTION = Vandal(spoil=patch_convolution)
SETS_DTYPE = Vandal(spoil=lambda _: torch.set_default_dtype(torch.float64))
SETS_THREADS = Vandal(spoil=lambda _: torch.set_num_threads(3))
REACHES = Vandal(spoil=reach_for_the_original)


def judge(target: toys.Planted) -> Outcome:
    return run_case(toys.CASE, "toys:Toy", target, lambda _: None)


@pytest.mark.parametrize(
    "target",
    [CASTS, ZEROES, FUSES, CUTS, ZEROES_INPUTS],
    ids=["casts the module", "zeroes weights", "drops a layer", "cuts the graph", "zeroes the inputs"],
)
def test_target_has_a_copy_of_its_own(target: Vandal) -> None:
    before = judge(toys.DROPPED_OPERATOR)
    outcome = judge(target)
    assert outcome.status is Status.PASS
    assert not outcome.notes
    assert judge(target).status is Status.PASS, "not even its own next case meets what it has changed"
    after = judge(toys.HEALTHY)
    assert after.status is Status.PASS
    assert not after.notes
    assert judge(toys.DROPPED_OPERATOR).groups == before.groups


def test_reference_that_was_changed_all_the_same_is_made_again() -> None:
    outcome = judge(REACHES)
    assert outcome.notes == [
        "planted has changed the model that is copied: its process is ended, and no other case meets it"
    ]
    assert judge(toys.HEALTHY).status is Status.PASS


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    worker = Worker(threads=1, timeout=60)
    yield worker
    worker.close()


@pytest.mark.parametrize(
    ("target", "what"),
    [
        ("PATCHES_SILU", "torch.nn.functional.silu"),
        ("PATCHES_CONVOLUTION", "torch.nn.Conv2d.forward"),
        ("SETS_DTYPE", "the default dtype"),
        ("SETS_THREADS", "the number of threads"),
        ("REACHES", "the model that is copied"),
    ],
)
def test_process_in_which_torch_or_the_model_was_changed_is_ended(worker: Worker, target: str, what: str) -> None:
    outcome = worker.run(Job(toys.CASE, "toys:Toy", f"test_surroundings:{target}"), {})
    spoilt = worker._shared[PROCESS]
    assert any(f"planted has changed {what}" in note for note in outcome.notes), outcome.notes
    after = worker.run(Job(toys.CASE, "toys:Toy", "toys:HEALTHY"), {})
    assert after.status is Status.PASS
    assert not after.notes
    assert worker._shared[PROCESS] != spoilt


def test_process_in_which_nothing_was_changed_goes_on(worker: Worker) -> None:
    worker.run(Job(toys.CASE, "toys:Toy", "toys:HEALTHY"), {})
    before = worker._shared[PROCESS]
    worker.run(Job(toys.CASE, "toys:Toy", "test_surroundings:CASTS"), {})
    worker.run(Job(toys.CASE, "toys:Toy", "toys:HEALTHY"), {})
    assert worker._shared[PROCESS] == before


class HalfInTraining(toys.Toy):
    """Some parts of it were put in after eval(), as an Identity where a norm was folded into a convolution."""

    def build(self, variant: str, task: str) -> Model:
        made = super().build(variant, task)
        made.module.get_submodule("stem").extend([nn.BatchNorm2d(8), nn.Dropout(0.5), nn.Identity()])  # type: ignore[operator]
        return replace(made, key="half in training")


@pytest.mark.parametrize("layer", [None, "stem"])
def test_part_that_was_left_in_training_is_evaluated_and_is_no_change_of_the_targets(layer: str | None) -> None:
    case = changed(toys.CASE, layer=layer)
    outcome = run_case(case, "test_surroundings:HalfInTraining", toys.HEALTHY, lambda _: None)
    assert outcome.status is Status.PASS, outcome
    assert not outcome.notes, outcome


def test_what_torch_loads_late_is_no_change() -> None:
    around = Surroundings()
    import torch._dynamo  # puts a torch.manual_seed of its own there

    assert not around.changed()
    torch.export.export(nn.Linear(2, 2), (torch.ones(1, 2),))
    assert not around.changed()


def test_fingerprint_sees_weights_dtypes_modes_hooks_and_structure() -> None:
    made = [nn.Sequential(nn.Linear(2, 2), nn.ReLU()).eval() for _ in range(7)]
    for other in made[1:]:
        other.load_state_dict(made[0].state_dict())
    assert fingerprint(made[0]) == fingerprint(made[1])
    made[2].get_parameter("0.bias")[0].data += 1e-7
    made[3].double()
    made[4].train()
    made[5].register_forward_hook(lambda *_: None)
    made[6][1] = nn.SiLU()
    assert len({fingerprint(module) for module in made}) == 6


def test_many_changes_are_counted() -> None:
    assert changes_text(["a", "b"]) == "a, b"
    assert changes_text(list("abcde")) == "a, b, c and 2 more"
