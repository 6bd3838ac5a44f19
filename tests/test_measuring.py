"""`conformance operators`: what a target makes of each operator, with torch's samples of it."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from typer.testing import CliRunner

from conformance.commands.cli import app
from conformance.core.reading import read_json
from conformance.measuring.judge import judged, wanted
from conformance.measuring.rewrites import rewrites, spelled
from conformance.measuring.run import Measuring
from conformance.operators.results import MEASURED, Results, Row, State
from conformance.operators.samples import Form, Sample, made
from conformance.targets.loading import load_target

pytest.importorskip("expecttest", reason="torch's samples need it: the extra [operators]")
HERE = str(Path(__file__).parent)
STATES = {
    "add": (State.RIGHT, None, None),
    "tanh": (State.WRONG, None, "got ["),
    "flip": (State.WRONG, None, "got ["),
    "exp": (State.WRONG, None, "of shape "),
    "sin": (State.FROZEN, None, "got ["),
    "erf": (State.REFUSED, "NCC_EVRF029", "erf is not supported"),
    "cos": (State.UNSUPPORTED, None, "no cosine"),
    "neg": (State.WRONG, None, "got ["),
    "rand_like": (State.UNDECIDED, None, None),
}


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Children find the targets of this folder."""
    monkeypatch.setenv("PYTHONPATH", HERE)


@pytest.mark.usefixtures("here")
def test_every_state_is_told(tmp_path: Path) -> None:
    measuring = Measuring("odd_operators:ODD", tmp_path, tuple(STATES), ("float32",))
    rows = {one.operator: one for one in measuring.run(nothing).rows}
    assert rows.keys() == STATES.keys()
    for operator, (state, signature, said) in STATES.items():
        found = rows[operator]
        assert found.state is state, operator
        assert {one.state for one in found.others} <= {state}
        assert {one.signature for one in found.others} <= {signature}
        assert all(said is None or said in str(one.detail) for one in found.others)
        if state is not State.UNDECIDED:
            assert f"aten::{operator}" in {name.partition(".")[0] for name in found.aten}
        if operator in ("add", "neg"):
            assert found.right > 1
        else:
            assert found.right == 0
    assert [one.sample for one in rows["neg"].others] == ["all in one program"], "each is right by itself"
    assert rows["flip"].others[0].exact
    assert not rows["tanh"].others[0].exact


@pytest.mark.slow
@pytest.mark.usefixtures("here")
def test_operator_that_ends_its_process_or_none(tmp_path: Path) -> None:
    """The others are none the worse."""
    measuring = Measuring("odd_operators:ODD", tmp_path, ("mv", "trace", "mm"), ("float32",), workers=2, timeout=20)
    mm, mv, trace = measuring.run(nothing).rows
    assert (mm.state, mv.state, trace.state) == (State.RIGHT, State.CRASH, State.TIMEOUT)
    assert {one.signature for one in mv.others} == {"SIGSEGV"}
    assert {one.signature for one in trace.others} == {"20 s"}
    assert (mv.aten, trace.aten) == (("aten::mv",), ("aten::trace",)), "known without the target"


def nothing(row: Row, done: int, of: int) -> None:
    """Nobody is told."""


@pytest.mark.slow
@pytest.mark.usefixtures("here")
def test_what_was_measured_is_not_measured_again(tmp_path: Path) -> None:
    """But with another version."""
    told: list[str] = []
    measuring = Measuring("odd_operators:ODD", tmp_path, ("tanh", "add"), ("float32",))

    def run(asked: Measuring) -> Results:
        return asked.run(lambda row, done, of: told.append(row.operator))

    results = run(measuring)
    assert sorted(told) == ["add", "tanh"]
    few = replace(measuring, match=("add",))
    assert run(few).rows == results.rows
    assert len(told) == 2
    measuring.path.write_text(results.model_copy(update={"versions": {"torch": "1.0"}}).model_dump_json())
    assert [one.operator for one in run(few).rows] == ["add"]


@pytest.mark.usefixtures("here")
def test_table_is_a_page(tmp_path: Path) -> None:
    asked = ["operators", "--target", "planted:OPERATOR", "--match", "tanh,abs", "--dtype", "float32,int64"]
    done = CliRunner().invoke(app, [*asked, "--output", str(tmp_path)])
    assert done.exit_code == 0, done.output
    (file,) = tmp_path.glob("*.json")
    results = read_json(file, Results)
    assert results.target == "operator"
    assert [(one.operator, one.dtype, one.state) for one in results.rows] == [
        ("abs", "float32", State.RIGHT),
        ("abs", "int64", State.RIGHT),
        ("tanh", "float32", State.WRONG),
        ("tanh", "int64", State.WRONG),
    ]
    assert "| `tanh` | float32 |  | wrong |" in done.stdout
    assert "`abs`" not in done.stdout


MOVING = (
    "split", "chunk", "narrow", "select", "transpose", "permute", "cat", "stack", "gather", "index_select", "flip",
    "roll", "unfold", "nn.functional.pixel_shuffle", "nn.functional.pixel_unshuffle", "nn.functional.pad.constant",
    "nn.functional.pad.reflect", "nn.functional.channel_shuffle", "repeat", "tile", "expand", "squeeze", "reshape",
    "take_along_dim", "where", "tril", "nn.functional.max_pool2d", "nn.functional.relu",
    "amax", "sort", "topk", "clamp", "neg", "abs",
)  # fmt: skip


@pytest.mark.parametrize("operator", MOVING)
def test_what_computes_nothing_has_to_be_exact(operator: str) -> None:
    found = [one for sample in made(operator, "float32") for one in wanted(sample, sample.inputs)]
    assert found
    assert all(one.exact for one in found)


@pytest.mark.parametrize("operator", ["add", "mean", "softmax", "nn.functional.conv2d", "exp"])
def test_what_is_computed_may_be_rounded(operator: str) -> None:
    for sample in made(operator, "float32"):
        want, next_ = (wanted(sample, inputs) for inputs in (sample.inputs, sample.others))
        assert not any(one.exact for one in want if one.eager.numel() > 1)
        eager, other = (tuple(one.eager for one in each) for each in (want, next_))
        assert judged(sample, eager, other, want, next_).state is State.RIGHT
        off = [tuple(y * (1 + 1e-5) for y in each) for each in (eager, other)]
        assert judged(sample, off[0], off[1], want, next_).state is State.WRONG


@pytest.mark.parametrize("name", rewrites())
def test_spellings_agree(name: str) -> None:
    """As eager PyTorch computes them; where only the others are off by a little, they do not."""
    found = spelled(name)
    for sample in found:
        want, next_ = (wanted(sample, inputs) for inputs in (sample.inputs, sample.others))
        given, other = (sample.module(*inputs) for inputs in (sample.inputs, sample.others))
        assert judged(sample, given, other, want, next_).state is State.RIGHT, sample.name
        off = [tuple(y * (1 + 1e-4) for y in some) for some in (given, other)]
        assert judged(sample, off[0], off[1], want, next_).state is State.WRONG
    assert len(found) > 1


def of(module: nn.Module, *inputs: Tensor) -> Sample:
    return Sample("0", module, inputs, tuple(x.flip(0) for x in inputs), "")


class ArgMax(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return (x.argmax(-1),)


@pytest.mark.parametrize(("second", "state"), [(1.0, State.UNDECIDED), (0.5, State.WRONG)])
def test_of_two_values_that_are_the_same_either_may_come_first(second: float, state: State) -> None:
    sample = of(ArgMax(), torch.tensor([[1.0, second], [second, 1.0]]))
    want, next_ = (wanted(sample, inputs) for inputs in (sample.inputs, sample.others))
    other = tuple(1 - one.eager for one in want)
    assert judged(sample, other, other, want, next_).state in (state, State.FROZEN)


def test_infinities_are_wanted_where_eager_has_them() -> None:
    class Log(nn.Module):
        def forward(self, x: Tensor) -> tuple[Tensor, ...]:
            return (x.log(),)

    sample = of(Log(), torch.tensor([0.0, -1.0, 2.0]))
    want, next_ = (wanted(sample, inputs) for inputs in (sample.inputs, sample.others))
    right, other = (torch.tensor(values).log() for values in ([0.0, -1.0, 2.0], [2.0, -1.0, 0.0]))
    assert judged(sample, (right,), (other,), want, next_).state is State.RIGHT
    assert judged(sample, (right.nan_to_num(),), (other,), want, next_).state is State.WRONG


def test_two_sets_of_inputs_are_different() -> None:
    """Or what is computed once would be right."""
    for operator in ("add", "masked_select", "nonzero", "searchsorted", "where"):
        found = made(operator, "float32")
        assert found
        assert not any(all(map(torch.equal, one.inputs, one.others)) for one in found)
        assert {Form.STRIDED.value, "0"} & {one.name.split()[-1] for one in found}


TABLES = sorted(MEASURED.glob("*.json"))


@pytest.mark.slow
@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_table_is_found_again(path: Path, tmp_path: Path) -> None:
    """Thirty operators of it, drawn at random."""
    table = read_json(path, Results)
    measuring = Measuring(table.target, tmp_path, workers=2)
    if load_target(table.target).missing() or measuring.versions != table.versions:
        pytest.skip(f"measured with {table.versions}")
    rows = {(one.operator, one.dtype): one for one in table.rows}
    chosen = random.sample(sorted({one.operator for one in table.rows if one.right or one.others}), 30)
    again = replace(measuring, match=tuple(chosen)).run(nothing)
    states = {key: [(other.sample, other.state) for other in one.others] for key, one in rows.items()}
    for one in again.rows:
        assert [(other.sample, other.state) for other in one.others] == states[one.operator, one.dtype], one.operator
