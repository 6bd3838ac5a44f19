"""The benchmark of `conformance localize`: a wrong answer counts as one, and a fault is where it is said to be."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from benchmarks.localize import run
from benchmarks.localize.draw import COUNTS, draw
from benchmarks.localize.plant import Fault, Faulty, Kernel
from benchmarks.localize.report import markdown
from benchmarks.localize.run import Done, Lines, Work, perform, planned
from benchmarks.localize.score import OURS, Said, Scored, scored
from conformance.cases.span import Operator


def said(kind: str | None, *places: tuple[int, ...], by: str = OURS, compiles: int = 8) -> Said:
    return Said(by=by, kind=kind, places=places, compiles=compiles)


@pytest.mark.parametrize(
    ("of_class", "truth", "answer", "right", "innocent"),
    [
        ("operator", [(3,)], said("operator", (3,)), True, False),
        ("operator", [(3,), (5,)], said("operator", (3,)), True, False),
        ("operator", [(3,)], said("operator", (4,)), False, True),
        ("operator", [(3,)], said("operator", (3,), (4,)), False, True),
        ("operator", [(3,)], said("span", (3,)), False, False),
        ("operator", [(3,)], said("not reproduced"), False, False),
        ("operator", [(3,)], said(None, (3, 4), by="other"), False, True),
        ("span", [(3, 4)], said("span", (3, 4)), True, False),
        ("span", [(3, 4)], said("span", (3, 4, 5)), False, True),
        ("span", [(3, 4)], said("span", (4,)), False, False),
        ("context", [(9,)], said("only in context", (9,)), True, False),
        ("context", [(9,)], said("only in context", tuple(range(40))), True, False),
        ("context", [(9,)], said("only in context", (8,)), False, True),
        ("context", [(9,)], said("only in context"), False, False),
        ("drift", [], said("drift", (1, 2)), True, False),
        ("drift", [], said("operator", (1,)), False, True),
        ("intermittent", [(2,)], said("intermittent", (2,)), True, False),
        ("intermittent", [(2,)], said("operator", (2,)), False, False),
        ("real", [(4,), (5,)], said("operator", (5,)), True, False),
        ("real", [(4,), (5,)], said("span", (5, 6)), False, True),
    ],
)
def test_answer_is_right_or_not(
    of_class: str, truth: list[tuple[int, ...]], answer: Said, right: bool, innocent: bool
) -> None:
    found = scored("net", of_class, "", 50, truth, answer)
    assert (found.right, found.innocent) == (right, innocent)


def ours(right: bool, number: int = 0) -> Scored:
    return scored("net", "operator", f"fault {number}", 64, [(3,)], said("operator", (3 if right else 4,)))


def test_goal_that_is_missed_is_said_to_be() -> None:
    good = markdown([ours(True, number) for number in range(200)], "here.")
    assert "**missed**" not in good
    assert "200 of 200 (100.0%)" in good
    bad = markdown(
        [*(ours(True, number) for number in range(189)), *(ours(False, number) for number in range(11))], ""
    )
    assert "| right class and operator or span | at least 95% | 189 of 200 (94.5%) | **missed** |" in bad
    assert "| innocent operator accused | at most 1% | 11 of 200 (5.5%) | **missed** |" in bad
    assert "| net | operator | `fault 3` | 3 | operator 4 |" in bad
    assert "**missed**" in markdown([ours(True)], ""), "one fault is no benchmark"


class Net(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(torch.sigmoid(x)) + torch.tanh(x)


def test_fault_strikes_the_kernel_and_nothing_else() -> None:
    graph = torch.export.export(Net(), (torch.ones(2, 3),)).module()
    x = torch.randn(2, 3)
    tanh, sigmoid = (Kernel(target=f"aten.{name}.default", shape=(2, 3)) for name in ("tanh", "sigmoid"))

    def given(fault: Fault, call: int = 1) -> Tensor:
        found: Tensor = Faulty(graph, fault, [x], call).run(x)
        return found

    both = given(Fault(of_class="operator", kernel=tanh, size=1.0))
    torch.testing.assert_close(both, 2 * Net()(x))
    behind = given(Fault(of_class="span", kernel=tanh, after=sigmoid, size=1.0))
    torch.testing.assert_close(behind, Net()(x) + torch.tanh(torch.sigmoid(x)))
    third = Fault(of_class="intermittent", kernel=tanh, period=3)
    assert [torch.equal(given(third, call), Net()(x)) for call in (1, 2, 3)] == [True, True, False]
    assert torch.equal(given(Fault(of_class="context", kernel=tanh, longer=4)), Net()(x))
    assert not torch.equal(given(Fault(of_class="context", kernel=tanh, longer=3)), Net()(x))
    assert torch.equal(given(Fault(of_class="context", kernel=tanh, images=True)), Net()(x))


def test_faults_are_drawn_by_a_seed_and_know_who_is_to_blame() -> None:
    operators = [
        Operator(number, f"op{number}", f"aten.op{number % 3}.default", "", "", (2, 4), takes, True)
        for number, takes in enumerate([(), (0,), (1,), (2,), (3,), (4,)])
    ]
    for of_class in COUNTS:
        first, again = (next(draw(of_class, operators, "0/net")) for _ in range(2))
        assert first == again
        assert bool(first.truth(operators)) == (of_class != "drift")
        every = list(draw(of_class, operators, "0/net"))
        assert len(set(every)) == len(every), "it ends, though there are few"
    fault = Fault(of_class="operator", kernel=Kernel(target="aten.op1.default", shape=(2, 4)))
    assert fault.truth(operators) == [(1,), (4,)]


def test_run_goes_on_but_not_with_what_other_code_has_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = Lines(tmp_path / "lines.jsonl")
    done = Done(scored=[ours(True)], hidden=2)
    lines.write("net operator 1 0", done)
    assert lines.read() == {"net operator 1 0": done}
    monkeypatch.setattr(run, "code", lambda: "another")
    assert lines.read() == {}
    assert "no layer of the model (2) are drawn anew" in markdown(done.scored, "", done.hidden)


@pytest.mark.slow
def test_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    (work,) = (part for part in planned(["toydet-98k-detect"], [], 0, {"operator": 1}))
    assert work == Work("toydet-98k-detect", "operator", 1, 0)
    found = perform(work)
    assert found.scored[0].right
    assert len({one.said.by for one in found.scored}) == 4
    assert Lines(None).read() == {}
