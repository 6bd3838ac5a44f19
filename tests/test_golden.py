"""The reference notes what goes into and comes out of every layer, and what equally valid runs differ by."""

from __future__ import annotations

import copy

import pytest
import torch
import toys
from torch import Tensor, nn

from conformance.compare.metrics import OF_ALONE, OF_WHOLE, by_image, rel_l2
from conformance.golden.baseline import RUNS, allowed_error, baseline_runs, largest_errors
from conformance.golden.reference import golden, record
from conformance.graphs.fx_match import calls
from conformance.programs.program import Program, Whole

TOY = toys.Toy()
MODEL = TOY.build("1", "detect")
INPUTS = TOY.inputs(toys.CASE.subject, 0)


def test_replaying_each_layer_from_its_noted_inputs_gives_its_noted_outputs() -> None:
    reference = record(copy.deepcopy(MODEL.module).double(), MODEL.layers, tuple(x.double() for x in INPUTS))
    exact = copy.deepcopy(MODEL.module).double()
    for path in MODEL.layers:
        (output,) = reference.isolated(path, exact)(*reference.into_layer(path, torch.float64))
        assert torch.equal(output, reference.of_layer(path)[0]), path
    assert torch.equal(reference.values[reference.outputs[0]], exact(INPUTS[0].double()))


def test_layer_that_takes_a_list_and_values_written_in_place() -> None:
    class Joined(nn.Module):
        def forward(self, parts: list[Tensor]) -> Tensor:
            return torch.cat(parts, 1)

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.act, self.join = nn.ReLU(inplace=True), Joined()

        def forward(self, x: Tensor) -> Tensor:
            y = x * 1
            z: Tensor = self.join([self.act(y), x])
            return z

    x, net = torch.tensor([[-1.0, 2.0]]), Net()
    reference = record(net, ("act", "join"), (x,))
    (given,) = reference.into_layer("act", torch.float32)
    assert torch.equal(given, x), "what went in, not what it was overwritten with"
    (joined,) = reference.isolated("join", net)(*reference.into_layer("join", torch.float32))
    assert torch.equal(joined, torch.tensor([[0.0, 2.0, -1.0, 2.0]]))
    reference.isolated("act", net)(given)
    assert torch.equal(given, x), "a layer alone does not write into what it is given"


def test_golden_is_computed_once_and_read_back_the_same() -> None:
    class Counting(toys.ToyNet):
        runs = 0

        def forward(self, x: Tensor) -> Tensor:
            Counting.runs += 1
            return super().forward(x)

    module = Counting().eval().requires_grad_(False)
    (first,) = golden(module, "counting", MODEL.layers, INPUTS)
    (again,) = golden(module, "counting", MODEL.layers, INPUTS)
    assert Counting.runs == 3, "twice as it is, to see that it gives the same again, and in float64"
    (fewer,) = golden(module, "counting", MODEL.layers[:1], INPUTS)
    assert Counting.runs == 6, "of other layers it is another one"
    assert list(fewer.results) == list(MODEL.layers[:1]), "of other layers it is another one"
    assert first.arguments == again.arguments
    assert first.results == again.results
    assert first.types == again.types
    assert all(torch.equal(a, b) for a, b in zip(first.values, again.values, strict=True))


def test_twins_are_valid_and_leave_the_module_as_it_is() -> None:
    before = {name: value.clone() for name, value in MODEL.module.state_dict().items()}
    exact = copy.deepcopy(MODEL.module).double()(INPUTS[0].double())
    threads = torch.get_num_threads()
    outputs = dict(baseline_runs(Whole(MODEL.module), INPUTS))
    assert list(outputs) == [name for name in RUNS if name != "sums one by one"]  # there is none in it
    assert len(RUNS) == 6
    assert all(torch.allclose(output[0].double(), exact, rtol=1e-5) for output in outputs.values())
    assert torch.get_num_threads() == threads
    assert torch.backends.mkldnn.flags is not None
    assert all(torch.equal(before[name], value) for name, value in MODEL.module.state_dict().items())


@pytest.mark.parametrize("keepdim", [False, True])
@pytest.mark.parametrize("reduce", ["mean", "sum"])
def test_sums_that_are_added_up_one_by_one_are_valid(reduce: str, keepdim: bool) -> None:
    """As compilers do it. Of values that are alike every addition is rounded in the same direction."""
    x = torch.tensor([0.3, 0.7, 0.55]).reshape(3, 1, 1).expand(2, 3, 16, 24).contiguous()
    module = calls(lambda x: getattr(x, reduce)((2, 3), keepdim=keepdim))
    answer = torch.zeros(2, 3)
    for pixel in x.flatten(2).unbind(2):
        answer += pixel
    answer = answer / (16 * 24) if reduce == "mean" else answer
    reference = {"output": by_image([x.double().flatten(2).sum(2) / (16 * 24 if reduce == "mean" else 1)])}
    runs = dict(baseline_runs(Whole(module), (x,)))
    assert torch.equal(runs["sums one by one"][0].reshape(2, 3), answer)
    allowed = allowed_error(Whole(module), (x,), reference, lambda found: {"output": by_image(list(found))})
    error = rel_l2(by_image([answer]), reference["output"])
    assert (error <= torch.tensor(allowed["output"]["L2"]) * 1.001).all()
    assert (error > 9 * rel_l2(by_image([runs["plain"][0]]), reference["output"])).all()  # or nothing is shown here


def test_gain_that_is_allowed_is_that_of_independent_rounding_where_all_runs_round_alike() -> None:
    reference = torch.tensor([1.0, -1.0], dtype=torch.float64).repeat(2, 50)
    alike = reference.clone()
    alike[0, ::2] *= 1.01
    alike[0, 1::2] *= 0.99  # an error of 1 % in the L2 norm and, by luck, none in the gain
    alike[1] *= 1.01
    found = largest_errors([{"all": alike}, {"all": alike}], {"all": reference}, OF_ALONE)["all"]
    assert found["L2"] == pytest.approx([0.01, 0.01])
    assert found["gain"] == pytest.approx([0.001, 0.01])
    assert "gain" not in largest_errors([{"all": alike}], {"all": reference}, OF_WHOLE)["all"]


def test_what_is_upsampled_from_few_values_was_rounded_as_often_and_no_oftener() -> None:
    """A layer of global pooling that is resized to the size of its neighbours has a gain of few roundings: OpenVINO's
    was condemned in DeepLabV3, of a hundred values in sixty-four places each."""
    reference = torch.tensor([1.0, -1.0, 2.0, -2.0], dtype=torch.float64).repeat_interleave(25).repeat(1, 1)
    alike = reference.clone()
    alike[:, ::2] *= 1.01
    alike[:, 1::2] *= 0.99
    found = largest_errors([{"all": alike}], {"all": reference}, OF_ALONE)["all"]
    assert found["gain"] == pytest.approx([found["L2"][0] / 2], rel=0.01)


def test_allowed_error_is_the_largest_of_the_runs_per_image() -> None:
    exact = by_image([copy.deepcopy(MODEL.module).double()(INPUTS[0].double())])
    baseline = allowed_error(Whole(MODEL.module), INPUTS, {"all": exact}, lambda outputs: {"all": by_image(outputs)})
    errors = [
        (by_image(o) - exact).norm(dim=1) / exact.norm(dim=1) for _, o in baseline_runs(Whole(MODEL.module), INPUTS)
    ]
    assert baseline["all"]["L2"] == torch.stack(errors).amax(0).tolist()
    assert list(baseline["all"]) == list(OF_WHOLE)
    assert all(len(found) == 4 and all(0 < error < 1e-5 for error in found) for found in baseline["all"].values())


def test_program_gives_no_tensor_twice_and_leaves_no_hooks() -> None:
    layers = (*MODEL.layers, "stem.1")  # stem.1 gives what stem gives
    outputs = record(MODEL.module, layers, INPUTS).tapped(MODEL.module)(*INPUTS)
    assert len(outputs) == 1 + 4 == len({id(output) for output in outputs})
    assert not any(module._forward_hooks for module in MODEL.module.modules())


def test_export_leaves_the_module_usable() -> None:
    class Keeps(nn.Module):
        kept: Tensor | None = None

        def forward(self, x: Tensor) -> Tensor:
            self.kept = x * 2 if self.kept is None else self.kept
            return x + self.kept

    module = Keeps()
    program = Program(Whole(module), (torch.ones(1, 2),))
    assert program.exported.graph is not None
    assert torch.equal(module(torch.ones(1, 2)), torch.full((1, 2), 3.0))
