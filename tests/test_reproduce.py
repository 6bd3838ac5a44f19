"""The smallest program that fails the same way, and the script that shows it."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import toys
from safetensors.torch import load
from test_localize import HERE
from typer.testing import CliRunner

from conformance.cases.outcome import Outcome, Stage, Status
from conformance.checking.case_runner import CaseRunner
from conformance.checking.check import prepared
from conformance.commands.cli import app
from conformance.core.errors import UserError
from conformance.localize.answer import Answer
from conformance.localize.issue import tracker_of
from conformance.localize.localize import localize
from conformance.localize.minimize import Minimizer
from conformance.localize.recipe import Call, Recipe, Values
from conformance.localize.reproduce import RUNS, Reproduction, _shows, reproduce
from conformance.localize.scripts import script
from conformance.localize.search import Kind
from conformance.localize.system import made, module_of
from conformance.running.child import Job
from conformance.running.worker import Worker
from conformance.selection.expand import Chosen
from conformance.selection.model import ModelRequest, find_model
from conformance.targets.loading import load_target

SPLIT = Recipe(
    inputs={"x": Values(shape=(4, 256, 10, 10)), "mask": Values(shape=(4, 1), kind="truth")},
    constants={"w": Values(shape=(256, 1, 1), kind="positive")},
    calls=(
        Call(name="mul", target="aten.mul.Tensor", args=[{"ref": "x"}, {"ref": "w"}]),
        Call(name="split", target="aten.split_with_sizes.default", args=[{"ref": "mul"}, [128, 128], 1]),
        Call(name="a", target="getitem", args=[{"ref": "split"}, 0]),
        Call(name="b", target="getitem", args=[{"ref": "split"}, 1]),
        Call(name="clamp", target="aten.clamp.default", args=[{"ref": "b"}, 0.0, {"float": "inf"}]),
        Call(name="to", target="aten.to.dtype", args=[{"ref": "mask"}, {"dtype": "float32"}]),
    ),
    outputs=("a", "clamp", "to"),
)


def test_recipe_is_a_program() -> None:
    module, inputs = module_of(SPLIT), [made(values, seed) for seed, values in enumerate(SPLIT.inputs.values())]
    a, clamped, mask = module(*inputs)
    x = inputs[0] * dict(module.named_buffers())["w"]
    torch.testing.assert_close(a, x[:, :128])
    torch.testing.assert_close(clamped, x[:, 128:].relu())
    assert mask.dtype == torch.float32


def test_operator_is_told_a_dtype_by_name() -> None:
    asked = Call(name="sum", target="aten.sum.default", args=[{"ref": "x"}], kwargs={"dtype": {"dtype": "float64"}})
    recipe = Recipe(inputs={"x": Values(shape=(2,))}, constants={}, calls=(asked,), outputs=("sum",))
    (found,) = module_of(recipe)(torch.ones(2))
    assert found.dtype == torch.float64


def minimal(fails: Callable[[Recipe], bool]) -> Recipe:
    """The smallest that fails, of those that run at all."""

    def runs(recipe: Recipe) -> bool:
        try:
            module_of(recipe)(*(made(values, seed) for seed, values in enumerate(recipe.inputs.values())))
        except (RuntimeError, IndexError):
            return False
        return fails(recipe)

    return Minimizer(runs, 400).run(SPLIT)


def test_split_is_as_small_as_it_can_be() -> None:
    def split_of_two_images(recipe: Recipe) -> bool:
        calls = [call for call in recipe.calls if "split" in call.target]
        return bool(calls) and recipe.batch >= 2 and sum(calls[0].args[1]) == recipe.inputs["x"].shape[1]

    found = minimal(split_of_two_images)
    assert found.size == (2, 2 * 2 + 2), found
    assert found.calls[1].args[1] == [1, 1]
    assert found.constants["w"].kind == "ones"


def test_what_is_not_needed_for_an_output_is_left_out() -> None:
    found = minimal(lambda recipe: "to" in {call.name for call in recipe.calls})
    assert [call.name for call in found.calls] == ["to"]
    assert (list(found.inputs), found.constants) == (["mask"], {})


def test_no_more_programs_are_tried_than_are_allowed() -> None:
    minimizer = Minimizer(lambda recipe: True, 5)
    minimizer.run(SPLIT)
    assert minimizer.tried == 5


@pytest.mark.parametrize(
    ("target", "dtype"),
    [("openvino", "float32"), ("onnxruntime", "float16"), ("inductor", "float32")],
)
def test_script_says_whether_it_is_right(target: str, dtype: str, tmp_path: Path) -> None:
    """Of several operators, outputs and kinds of values, on compilers that are right."""
    path = tmp_path / "script.py"
    right = script(SPLIT.resized({256: 4, 128: 2, 10: 3}), target, dtype, "A title that is long. " * 9, 1e-2)
    assert max(map(len, right.splitlines())) < 120
    wrong = right.replace("expected = model(*inputs)", "expected = [1.1 * y for y in model(*inputs)]")
    for text, code in ((right, 0), (wrong, 1)) if target == "openvino" else ((right, 0),):
        path.write_text(text)
        done = subprocess.run([sys.executable, path], capture_output=True, text=True, cwd=tmp_path, check=False)
        assert done.returncode == code, done.stderr


def ends(text: str, status: Status, signature: str | None = None) -> bool:
    return _shows(text, Outcome(stage=Stage.RUN, status=status, signature=signature))


def test_run_of_a_script_has_to_end_as_the_program_did() -> None:
    wrong = "import sys; print('expected 1'); sys.exit(1)"
    assert ends(wrong, Status.WRONG)
    assert ends(wrong, Status.MISMATCH)
    assert not ends("raise ImportError", Status.WRONG), "it ends with 1 as well"
    assert not ends(wrong.replace("exit(1)", "exit(0)"), Status.WRONG)
    refused = "raise RuntimeError('[NCC_EVRF029] sort is not supported')"
    assert ends(refused, Status.ERROR, "NCC_EVRF029")
    assert not ends(refused, Status.ERROR, "NCC_EBVF030")
    killed = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
    assert ends(killed, Status.CRASH, "SIGSEGV")
    assert not ends(killed, Status.CRASH, "exit 70")
    assert ends("import sys; sys.exit(70)", Status.CRASH, "exit 70")


def reproduced(worker: Worker, target: str) -> Reproduction:
    chosen = Chosen(named=True, resolutions=["16"])
    runner = CaseRunner(prepared(ModelRequest(find_model("planted:Net"), (target,), chosen), worker), worker, None)
    (case,) = runner.selection.models
    answer = localize(runner.job(case), worker, runner.run(case))
    return reproduce(answer, runner.job(case), worker, lambda text: None)


@pytest.mark.parametrize(("target", "operators"), [("OPERATOR", ["tanh"]), ("SPAN", ["tanh", "mul"])])
def test_planted_fault_is_made_small(planted_worker: Worker, target: str, operators: list[str]) -> None:
    found = reproduced(planted_worker, f"planted:{target}")
    assert [call.target.split(".")[1] for call in found.recipe.calls] == operators
    assert found.recipe.size[1] <= len(operators), "one value each"
    assert found.shown is None, "nobody knows how to call this target in a script"
    assert "put what your target gives" in found.text


def test_issue_and_bundle_have_what_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", HERE)
    names = {"output": "script.py", "issue": "issue.md", "bundle": "all.zip"}
    paths = [f"--{name}={tmp_path / file}" for name, file in names.items()]
    asked = ["planted:Net", "--target", "planted:OPERATOR", "--resolution", "16", "--records", str(tmp_path)]
    done = CliRunner().invoke(app, ["reproduce", *asked, *paths])
    assert done.exit_code == 1, "its script was not run"
    text, script_ = (tmp_path / "issue.md").read_text(), (tmp_path / "script.py").read_text()
    assert script_.rstrip() in text
    assert "aten.tanh.default: wrong numbers on operator" in text
    with zipfile.ZipFile(tmp_path / "all.zip") as bundle:
        files = {name: bundle.read(name) for name in bundle.namelist()}
    assert {"reproduce.py", "issue.md", "record.json", "localized.json", "program.pt2"} <= files.keys()
    inputs, expected, got = (load(files[f"{name}.safetensors"])["0"] for name in ("inputs", "expected", "got"))
    torch.testing.assert_close(expected, inputs.double().tanh())
    torch.testing.assert_close(got, (1.01 * inputs.tanh()))


@pytest.mark.parametrize("defect", ["openvino-constant-dividend", "openvino-unsqueeze-gather"])
def test_script_shows_what_it_is_made_of(defect: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Values that are right at the first call, or that have another shape alone, would show nothing in a script."""
    monkeypatch.setenv("PYTHONPATH", HERE)
    asked = ["reproduce", f"planted:of_defect('{defect}')", "--target", "openvino", "--records", str(tmp_path)]
    done = CliRunner().invoke(app, [*asked, "--output", str(tmp_path / "script.py")])
    assert done.exit_code == 0, done.output
    assert f"{RUNS} of {RUNS} runs show it" in done.stdout


@pytest.mark.parametrize(
    ("target", "tier", "repository"),
    [
        ("neuron", None, "aws-neuron/aws-neuron-sdk"),
        ("neuron", "the front end: xla is wrong in compare, too", "pytorch/xla"),
        ("xla", "the front end", "pytorch/xla"),
        ("openvino", "openvino: inductor passes", "openvinotoolkit/openvino"),
        ("onnxruntime", None, "microsoft/onnxruntime"),
        ("onnxruntime", "what they have in common (torch.export and its decompositions): ...", "pytorch/pytorch"),
        ("inductor", None, "pytorch/pytorch"),
    ],
)
def test_issue_is_for_the_tracker_of_the_first_tier_that_fails(
    target: str, tier: str | None, repository: str
) -> None:
    found = tracker_of(target, tier)
    assert found is not None
    assert found.repository == repository
    assert tracker_of("mine") is None


@pytest.mark.parametrize("kind", [Kind.DRIFT, Kind.CONTEXT, Kind.NOT_REPRODUCED, Kind.UNDECIDED])
def test_there_is_no_small_program_of_what_is_nowhere(planted_worker: Worker, kind: Kind) -> None:
    with pytest.raises(UserError, match="there is no program of a few operators"):
        reproduce(
            Answer(case=toys.CASE.id, kind=kind), Job(toys.CASE, "toys:Toy", "toys:HEALTHY"), planted_worker, print
        )


@pytest.mark.xla
@pytest.mark.skipif(load_target("xla").missing() is not None, reason="needs the torch-xla environment")
def test_split_of_torch_xla_is_shown_by_a_script_of_few_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", HERE)
    output = tmp_path / "split.py"
    asked = ["reproduce", "planted:Net", "--target", "xla", "--resolution", "16", "--records", str(tmp_path)]
    done = CliRunner().invoke(app, [*asked, "--output", str(output)])
    assert done.exit_code == 0, done.output
    assert f"{RUNS} of {RUNS} runs show it" in done.stdout
    text = output.read_text()
    assert "split_with_sizes" in text
    assert len(text.splitlines()) <= 25
    mended = text.replace("aten.split_with_sizes.default(add_, [1, 1], 1)", "(add_[:, :1],)")
    assert mended != text
    output.write_text(mended)
    assert subprocess.run([sys.executable, output], check=False).returncode == 0
