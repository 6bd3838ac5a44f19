"""Random programs: they are what they claim to be, and targets that are wrong on purpose are found by them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import Phase, given, settings
from torch import Tensor
from torch.overrides import TorchFunctionMode
from toys import Planted

from conformance.cases.case import Column
from conformance.cases.options import Justification
from conformance.cases.outcome import GroupFigures, ImageFigures, Outcome, Stage, Status
from conformance.compare.limits import limit
from conformance.core.errors import UserError
from conformance.programs.program import Program as Whole
from conformance.properties.accepted import accept_program, read_accepted
from conformance.properties.fuzz import fuzz
from conformance.properties.generate import programs
from conformance.properties.module import Steps, example_inputs
from conformance.properties.operators import OPERATORS
from conformance.properties.profiles import chosen_profile
from conformance.properties.program import ProgramSpec, Step
from conformance.properties.rounding import only_rounding, rounding_error
from conformance.properties.script import script
from conformance.properties.search import ScratchRunner, Search
from conformance.properties.setups import Setup, setups
from conformance.properties.system import from_json
from conformance.running.worker import Worker
from conformance.selection.select import Request, select
from conformance.targets.loading import load_target
from conformance.targets.protocol import Compiled, Options

SUITE = str(Path(__file__).parents[1] / "conformance" / "suite" / "test_properties.py")
SAME_EVERY_TIME = settings(deadline=None, derandomize=True, database=None, report_multiple_bugs=False)
FEW = settings(SAME_EVERY_TIME, max_examples=100)


class Respelled(TorchFunctionMode):
    """Does something else in the place of some function of torch."""

    def __init__(self, name: str, change: Any) -> None:
        super().__init__()
        self.name, self.change = name, change

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__name__", "") == self.name:
            args, kwargs = self.change(args, dict(kwargs or {}))
        return func(*args, **(kwargs or {}))


class Misreads(Planted):
    """Reads the arguments of one function wrongly."""

    function = ""

    def misread(self, args: Any, kwargs: Any) -> Any:
        raise NotImplementedError

    def compile(self, program: Whole, options: Options) -> Compiled:
        options.enter(Stage.COMPILE)

        def run(*inputs: Tensor) -> tuple[Tensor, ...]:
            with Respelled(self.function, self.misread):
                outputs: tuple[Tensor, ...] = program.module(*inputs)
                return outputs

        return run


class ReflectsAsReplicates(Misreads):
    """Pads with the edge where it should reflect."""

    function = "pad"

    def misread(self, args: Any, kwargs: Any) -> Any:
        return args, {**kwargs, "mode": "replicate"} if kwargs.get("mode") == "reflect" else kwargs


class PoolsUndilated(Planted):
    """Takes dilated pooling for undilated; the result is larger then."""

    def compile(self, program: Whole, options: Options) -> Compiled:
        options.enter(Stage.COMPILE)
        pool = torch.max_pool2d

        def run(*inputs: Tensor) -> tuple[Tensor, ...]:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(torch, "max_pool2d", lambda x, k, s, p, d, ceil: pool(x, k, s, p, 1, ceil))
                outputs: tuple[Tensor, ...] = program.module(*inputs)
                return outputs

        return run


class CrashesOnTopk(Planted):
    """Ends the process when it meets a topk."""

    def compile(self, program: Whole, options: Options) -> Compiled:
        options.enter(Stage.COMPILE)
        if any("topk" in str(node.target) for node in program.exported.graph.nodes):
            os._exit(70)
        return program.module


REFLECT = ReflectsAsReplicates()
UNDILATED = PoolsUndilated()
CRASH = CrashesOnTopk()


def at(scratch_runner: ScratchRunner, target: str, name: str = "planted", **more: Any) -> Search:
    setup = Setup(Column(name, **more), "float32")
    return Search(scratch_runner, setup, load_target(target), target)


def step(operator: str, *inputs: int, results: int = 1, **arguments: Any) -> Step:
    return Step(operator=operator, inputs=inputs, arguments=arguments, results=results)


def test_a_program_hangs_after_a_minute_where_it_is_not_for_neuronx_cc_to_compile() -> None:
    def longest(timeout: float, target: str) -> float:
        worker = Worker(1, timeout)
        worker.close()
        return ScratchRunner(worker).longest(load_target(target))

    assert [longest(900, name) for name in ("openvino", "neuron")] == [60, 900]
    assert [longest(5, name) for name in ("openvino", "neuron")] == [5, 5]


def test_every_operator_is_reached_runs_and_gives_finite_numbers_image_by_image() -> None:
    """No step mixes images: each image alone gives its own rows of the outputs."""
    reached: Counter[str] = Counter()

    @settings(SAME_EVERY_TIME, max_examples=800)
    @given(programs())
    def runs(program: ProgramSpec) -> None:
        reached.update(step.operator for step in program.steps)
        module, inputs = Steps(program).double(), [x.double() for x in example_inputs(program, 0)]
        whole = module(*inputs)
        single = [module(*(x[i : i + 1] for x in inputs)) for i in range(program.batch)]
        for output, *rows in zip(whole, *single, strict=True):
            assert torch.isfinite(output).all()
            torch.testing.assert_close(torch.cat(rows), output, rtol=1e-9, atol=1e-12)

    runs()
    assert set(reached) == set(OPERATORS)


@FEW
@given(programs())
def test_program_survives_json_and_unused_values_are_outputs_or_gone(program: ProgramSpec) -> None:
    assert from_json(program.model_dump_json()) == program
    read = {setup for step in program.steps for setup in step.inputs}
    assert set(range(len(program.inputs))) <= read
    assert len(Steps(program)(*example_inputs(program, 0))) == len(program.outputs)


@settings(SAME_EVERY_TIME, max_examples=40)
@given(programs(ranking=False))
def test_without_ranking_nothing_is_looked_up_by_rank(program: ProgramSpec) -> None:
    assert not any(OPERATORS[step.operator].ranks for step in program.steps)


@FEW
@given(programs())
def test_script_gives_the_interpreters_numbers(program: ProgramSpec) -> None:
    """The very same: model, constants and inputs are spelled out."""
    found: dict[str, Any] = {"print": lambda text: None}
    grad = torch.is_grad_enabled()
    try:
        exec(script(program, Setup(Column("other"), "float32")), found)
        again = found["model"](*found["inputs"])
    finally:
        torch.set_grad_enabled(grad)
    for spelled, interpreted in zip(again, Steps(program)(*example_inputs(program, 0)), strict=True):
        assert torch.equal(spelled, interpreted)


PRINTED = ProgramSpec(
    inputs=((2, 4, 6, 5),),
    steps=(
        step("conv2d", 0, kernel=(3, 1), channels=6, stride=(1, 1), padding=(1, 0), dilation=(1, 1), groups=2),
        step("split", 1, results=2, split_size=(2, 4), dim=1),
        step("silu", 3),
    ),
)


@pytest.mark.parametrize("target", ["openvino", "onnxruntime", "onnxruntime-torchscript", "inductor"])
def test_script_runs_by_itself(target: str, tmp_path: Path) -> None:
    if reason := load_target(target).missing():
        pytest.skip(reason)
    (tmp_path / "program.py").write_text(script(PRINTED, Setup(Column(target), "float32")))
    environment = {**os.environ, "PYTHONPATH": ""}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "program.py"], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("output")]
    assert len(lines) == 2
    for line in lines:
        error, own = (float(part.split("error ")[1]) for part in line.split(";"))
        assert error < 1e-6
        assert own < 1e-6


@pytest.mark.parametrize(
    ("target", "operator", "status"),
    [
        pytest.param("REFLECT", "pad", Status.WRONG, marks=pytest.mark.slow),
        ("UNDILATED", "max_pool2d", Status.MISMATCH),
    ],
)
def test_planted_fault_is_found_and_shrunk(
    scratch_runner: ScratchRunner, target: str, operator: str, status: Status
) -> None:
    search = at(scratch_runner, f"test_properties:{target}")
    found = fuzz(search, settings(SAME_EVERY_TIME, max_examples=2000))
    assert found is not None, search.tried
    program, outcome = found
    assert outcome.status == status
    assert len(program.steps) <= 3, script(program, search.setup)
    assert operator in [step.operator for step in program.steps]


def test_crash_is_found_and_the_search_goes_on(scratch_runner: ScratchRunner) -> None:
    """Not shrunk here: each crash costs the start of another child."""
    search = at(scratch_runner, "test_properties:CRASH")
    found = fuzz(search, settings(SAME_EVERY_TIME, max_examples=600, phases=[Phase.generate]))
    assert found is not None, search.tried
    assert found[1].status == Status.CRASH
    assert found[1].signature == "exit 70"
    assert {step.operator for step in found[0].steps} & {"topk", "gather_best"}
    assert search.outcome(PRINTED).status is Status.PASS


def test_healthy_target_has_no_failure(scratch_runner: ScratchRunner) -> None:
    search = at(scratch_runner, "toys:HEALTHY")
    assert fuzz(search, settings(SAME_EVERY_TIME, max_examples=60)) is None
    assert set(search.tried) == {"pass"}


@pytest.mark.slow
def test_known_defect_is_passed_over_unless_it_is_to_fail(scratch_runner: ScratchRunner) -> None:
    """On the emulator, whose only faults are known ones."""
    search = at(scratch_runner, "emulator", "emulator", hardware="inf2", sdk="2.31.0")
    profile = settings(SAME_EVERY_TIME, max_examples=100)
    assert fuzz(search, profile) is None
    assert search.tried["known: split-with-sizes"] > 0
    search.known_fails = True
    found = fuzz(search, profile)
    assert found is not None
    assert search.known(*found)
    assert len(found[0].steps) == 1


@pytest.mark.parametrize(
    ("times", "peak", "excused"), [(0.9, 0.9, True), (1.1, 0.9, False), (0.9, 1.1, False), (float("nan"), 0.9, False)]
)
def test_wrong_outcome_that_rounding_explains_is_no_failure(times: float, peak: float, excused: bool) -> None:
    """It may be as far off as the limit allows, were the distance that rounding makes the baseline error."""
    program = ProgramSpec(
        inputs=((2, 3, 64),), steps=(step("softmax", 0, dim=2), step("sum", 1, dim=(1,), keepdim=True))
    )
    moved = rounding_error(program, "float32")["output"]
    assert all(len(errors) == 2 and all(1e-9 < error < 1e-6 for error in errors) for errors in moved.values())
    l2, largest = (by * limit("float32").outputs * moved[name][1] for by, name in ((times, "L2"), (peak, "peak")))
    images = [
        ImageFigures(noise_ratio=0, rel_l2=0, rel_peak=0, cosine=1),
        ImageFigures(noise_ratio=1e9, rel_l2=l2, rel_peak=largest, cosine=1, bad=True),
    ]
    figures: dict[str, Any] = {"noise_ratio": 1e9, "rel_l2": l2, "cosine": 1, "max_abs": 0, "sqnr_db": 0}
    groups = {"output": GroupFigures(**figures, per_image=images, bad=True)}
    outcome = Outcome(stage=Stage.COMPARE, status=Status.WRONG, groups=groups)
    assert only_rounding(program, outcome, "float32") == excused


def test_accepted_program_explains_what_contains_it_and_nothing_else(
    scratch_runner: ScratchRunner, tmp_path: Path
) -> None:
    search = at(scratch_runner, "test_properties:REFLECT")
    pad: dict[str, Any] = {"pad": (1, 0, 0, 0), "mode": "reflect"}
    small = ProgramSpec(inputs=((1, 1, 1, 2),), steps=(step("pad", 0, **pad),))
    accept_program(
        tmp_path, small, search.outcome(small), search.setup, search.target, Justification(reason="planted")
    )
    search.accepted = read_accepted(tmp_path)
    larger = ProgramSpec(
        inputs=((2, 3, 5, 6),), steps=(step("relu", 0), step("pad", 1, pad=(2, 1, 0, 1), mode="reflect"))
    )
    assert search.try_(larger).startswith("known: planted-pad-")
    other = ProgramSpec(inputs=((1, 1, 1, 2),), steps=(step("pad", 0, **{**pad, "mode": "replicate"}),))
    assert search.known(other, search.outcome(small)) == [], "another mode"
    assert search.known(larger, Outcome(stage=Stage.RUN, status=Status.ERROR)) == [], "another failure"


TOY = """
description = "The toy."
targets = ["test_properties:REFLECT"]

[[models]]
system = "toys:Toy"
variants = ["1"]
tasks = ["detect"]
batches = [1]
resolutions = ["16x24"]
"""


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    (pytester.path / "toy.toml").write_text(TOY)
    (pytester.path / "programs").mkdir()
    return pytester


def run(suite: pytest.Pytester, *options: str) -> pytest.RunResult:
    shared = ("--rootdir", ".", "--profile", "toy.toml", "--programs", "programs", "-p", "no:cacheprovider", "-q")
    return suite.runpytest_subprocess(SUITE, *shared, *options)


@pytest.mark.slow
def test_failure_is_a_script_and_can_be_accepted_and_is_strict_from_then_on(suite: pytest.Pytester) -> None:
    result = run(suite, "--hypothesis-profile", "dev", "--hypothesis-seed", "1")
    result.assert_outcomes(failed=1, skipped=1)
    result.stdout.fnmatch_lines(
        [
            "wrong in compare on planted/fp32",
            "import torch",
            "*F.pad(*mode='reflect')*",
            "*--accept --reason TEXT makes it a case*",
        ]
    )
    assert "Traceback" not in result.stdout.str()
    accepted = ("--accept", "--reason", "planted")
    run(suite, "--hypothesis-profile", "dev", "--hypothesis-seed", "1", *accepted).assert_outcomes(
        passed=1, skipped=1, warnings=1
    )
    (path,) = (suite.path / "programs").iterdir()
    assert json.loads(path.read_text())["reason"] == "planted"
    assert json.loads(path.read_text())["program"]["steps"][0]["operator"] == "pad"
    run(suite, "--hypothesis-profile", "dev", "--hypothesis-seed", "1").assert_outcomes(passed=2)
    result = run(suite, "--target", "toys:HEALTHY", "-k", "test_accepted")
    result.assert_outcomes(failed=1, deselected=1)
    result.stdout.fnmatch_lines(["unexpected pass: planted-pad-*; if it is fixed, narrow its packages"])
    result = run(suite, "--target", "toys:RAISES", "-k", "test_accepted")
    result.stdout.fnmatch_lines(
        ["another failure than the known one: error in run (NRT_EXEC_BAD_INPUT) instead of *"]
    )
    run(suite, "--target", "toys:HEALTHY_TWIN", "-k", "test_accepted").assert_outcomes(passed=1, deselected=1)


GOOD = {
    "name": "x",
    "target": "planted",
    "dtype": "float32",
    "packages": {},
    "stage": "compare",
    "status": "wrong",
    "signature": None,
    "reason": "planted",
    "program": {"inputs": [[1, 2]], "steps": [{"operator": "relu", "inputs": [0]}]},
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"status": "bad"}, "status: Input should be 'pass'*"),
        ({"packages": {"torch": "new"}}, "packages: 'new' is no range of versions of torch; one looks like *"),
        ({"packages": {"torch": ""}}, "packages: '' is no range of versions of torch; one looks like *"),
        ({"packages": {"torch": "<2.14"}}, "packages: '<2.14' is no range of versions of torch; one looks like *"),
        ({"reason": None}, "say why it is accepted: link or reason"),
        ({"surprise": 1}, "unknown key 'surprise' (known: name, target*"),
        ({"program": {"inputs": [[1, 2]], "steps": []}}, "program.steps: * at least 1 item*"),
        (
            {"program": {"inputs": [[1, 2]], "steps": [{"operator": "relu", "inputs": [1]}]}},
            "program: step 0 (relu) reads value 1; there are 0 to 0",
        ),
        ({"program": {"inputs": [[1], [2]], "steps": GOOD["program"]["steps"]}}, "*are not of one batch"),  # type: ignore[index]
    ],
)
def test_broken_file_is_one_clear_line(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    (tmp_path / "x.json").write_text(json.dumps({**GOOD, **change}))
    with pytest.raises(UserError) as error:
        read_accepted(tmp_path)
    assert fnmatch(str(error.value), f"{tmp_path}/x.json: {message}"), str(error.value)
    assert "\n" not in str(error.value)


def test_broken_file_is_said_before_anything_runs(suite: pytest.Pytester) -> None:
    (suite.path / "programs" / "x.json").write_text(json.dumps({**GOOD, "status": "bad"}))
    result = run(suite)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert len([line for line in result.stderr.lines if line]) == 1


def test_unknown_operator_is_one_clear_line(suite: pytest.Pytester) -> None:
    steps = [{"operator": "relo", "inputs": [0]}]
    changed = {**GOOD, "program": {"inputs": [[1, 2]], "steps": steps}}
    (suite.path / "programs" / "x.json").write_text(json.dumps(changed))
    result = run(suite, "-k", "test_accepted")
    result.stdout.fnmatch_lines(["cannot be run: unknown operator 'relo'; did you mean 'relu'*"])
    with pytest.raises(UserError, match="no program"):
        from_json("{}")


@pytest.mark.parametrize(
    "change",
    [
        {"inputs": [[1 << 20, 1 << 20]]},
        {"steps": [{"operator": "relu", "inputs": [0], "arguments": {"a=1); __import__('os'": 1}}]},
        {"steps": [{"operator": "relu", "inputs": [0], "results": 1 << 30}]},
        {"steps": [{"operator": "relu", "inputs": [7]}]},
    ],
)
def test_program_of_a_file_cannot_be_anything(change: dict[str, Any]) -> None:
    """Its script is printed for people to run."""
    plain = {"inputs": [[1, 4]], "steps": [{"operator": "relu", "inputs": [0]}]}
    assert from_json(json.dumps(plain)).batch == 1
    with pytest.raises(UserError, match="no program"):
        from_json(json.dumps({**plain, **change}))


def test_places_are_the_real_columns_unless_a_target_is_named() -> None:
    assert [str(setup) for setup in setups(select(Request()), named=False)] == [
        "openvino/fp32",
        "onnxruntime/fp32",
    ]
    assert "emulator/inf2/sdk-2.29.1/fp32" in map(str, setups(select(Request(targets=["emulator"])), named=True))


def test_profiles_are_as_they_are_described() -> None:
    assert (chosen_profile(None).max_examples, chosen_profile(None).derandomize) == (15, True)
    assert (
        chosen_profile("nightly").max_examples
        > chosen_profile("dev").max_examples
        > chosen_profile("ci").max_examples
    )
    assert not chosen_profile("nightly").derandomize
    assert chosen_profile("nightly").database is not None
