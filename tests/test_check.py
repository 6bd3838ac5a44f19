"""One model, one line: the command, the options of pytest, the API and the fixture."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from importlib import import_module, reload
from pathlib import Path

import pytest
import torch
from suites import ROOT, SUITE
from torch import Tensor, nn
from typer.testing import CliRunner

import conformance
from conformance import Group, Report, Status, UserError
from conformance.checking.check import check_model
from conformance.commands.cli import app
from conformance.results.records import read_records
from conformance.running.worker import Worker
from conformance.selection.expand import Chosen
from conformance.selection.model import ModelRequest, find_model
from conformance.systems.building.user_model.exported import of_file
from conformance.targets.loading import load_target

NET = """
import sys

import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.norm, self.head = nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.Conv2d(8, 12, 1)

    def forward(self, x):
        return self.head(self.norm(self.stem(x)).relu())


class Enlarged(Net):
    # two operators that torch-xla leaves to the CPU; each has a workaround of its own
    def forward(self, x):
        x = nn.functional.channel_shuffle(self.norm(self.stem(x)), 2)
        return self.head(nn.functional.interpolate(x, scale_factor=2, mode="bicubic"))


class Behind(Net):
    # a split that shows once the resizing before it is right
    def __init__(self):
        super().__init__()
        self.up, self.halves = nn.Upsample(scale_factor=2, mode="bicubic"), Split()

    def forward(self, x):
        return self.halves(self.up(self.norm(self.stem(x))))


class Split(nn.Module):
    def forward(self, x):
        one, two = x.split([2, 6], 1)
        return two * one.sum(1, keepdim=True)


class Halves(Net):
    def forward(self, x):
        one, two = self.norm(self.stem(x)).split([2, 6], 1)
        return two * one.sum(1, keepdim=True)


def counted():
    with open("built.txt", "a") as file:
        file.write("built ")
    return Net()


def crashes():
    import os, signal
    os.kill(os.getpid(), signal.SIGSEGV)
"""
PAGE = (ROOT / "docs" / "own-model.md").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's folder, with a model in it."""
    (tmp_path / "net.py").write_text(NET)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    return tmp_path


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker(threads=1, timeout=120)
    yield worker
    worker.close()


def command(*words: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["check", *words])
    return done.exit_code, done.stdout, done.stderr


def asked(source: str, target: str, **axes: list[str]) -> ModelRequest:
    chosen = Chosen(named=True, resolutions=["16x24"], **axes)  # type: ignore[arg-type]
    return ModelRequest(find_model(source), (target,), chosen)


def test_model_that_is_right(folder: Path) -> None:
    code, said, _ = command(
        "net:Net", "--target", "toys:HEALTHY", "--resolution", "16x24", "--groups", "boxes=:4,scores=4:"
    )
    assert code == 0, said
    first, *rest = said.splitlines()
    assert first == "conformance: net:Net on toys:HEALTHY (real)"
    assert "RIGHT  own-net.Net/b2/16x24/fp32@planted" in rest
    assert any(re.match(r"    boxes  error ratio 1 .*per image: 1, 1", line) for line in rest)
    assert "  layers in place: 3 of 3 layers right; largest error ratio 1 in stem (Conv2d)" in rest
    assert "  note: weights: seeded, and calibrated on images" in rest
    (record,) = read_records(folder / "matrices" / "records")
    assert record.status is Status.PASS
    assert record.command == (
        "pytest conformance --case own-net.Net/b2/16x24/fp32@planted --model net:Net --groups boxes=:4,scores=4: "
        "--target toys:HEALTHY"
    )


def test_model_that_is_wrong() -> None:
    code, said, _ = command(
        "net:Net", "--target", "toys:ZEROED_SCORES", "--resolution", "16x24", "--groups", "boxes=:4,scores=4:"
    )
    assert code == 1, said
    assert "WRONG in compare, first in head  own-net.Net/b2/16x24/fp32@planted" in said
    assert re.search(r"✗ scores error ratio .*destroyed", said)
    assert not re.search(r"✗ boxes", said)
    assert "unknown: no defect of the catalogue explains it" in said
    assert "--model net:Net" in said


def test_records_as_json_and_nothing_else_on_stdout() -> None:
    code, said, progress = command("net:Net", "--target", "toys:OFF_BY_ONE", "--resolution", "16x24", "--json")
    (record,) = json.loads(said)
    assert (code, record["status"], record["id"]) == (1, "wrong", "own-net.Net/b2/16x24/fp32@planted")
    assert "... building net.Net" in progress


def test_known_cause_is_named_and_what_works_instead_is_tried(worker: Worker) -> None:
    report = check_model(asked("net:Halves", "emulator", hardware=["inf2"], sdks=["2.29.1"]), worker)
    (record,) = report.records
    assert not report.passed
    assert (record.status, record.defects) == (Status.WRONG, ["split-with-sizes"])
    assert report.defects == ("split-with-sizes",)
    assert report.works_with == (("slice",),)
    said = str(report)
    assert "use slice" in said
    assert re.search(r"^  with slice: right, error ratio [0-9.]+$", said, re.MULTILINE)
    assert report.headline.startswith("wrong in compare")
    assert "color:#c62828" in report._repr_html_()


@pytest.mark.xla
@pytest.mark.skipif(load_target("xla").missing() is not None, reason="needs the torch-xla environment")
def test_real_front_end_is_the_default_and_what_works_instead_is_right_on_it(worker: Worker) -> None:
    report = check_model(ModelRequest(find_model("net:Halves"), None, Chosen(resolutions=["16x24"])), worker)
    (record,) = report.records
    assert record.column.target == "xla"
    assert (record.status, record.defects) == (Status.WRONG, ["split-with-sizes"])
    assert report.works_with == (("slice",),)


def test_workarounds_that_belong_together_are_tried_together(worker: Worker) -> None:
    chosen = Chosen(named=True, hardware=["inf2"], resolutions=["16x24"])
    request = ModelRequest(find_model("net:Enlarged"), ("emulator",), chosen)
    report = check_model(request, worker)
    (record,) = report.records
    assert record.helping == {"frozen-fallback": ["resize", "channel_shuffle"]}
    assert report.works_with == (("resize", "channel_shuffle"),)
    assert "use resize + channel_shuffle" in str(report)


def test_defect_that_shows_behind_another_is_helped_as_well(worker: Worker) -> None:
    chosen = Chosen(named=True, hardware=["inf2"], resolutions=["16x24"])
    report = check_model(ModelRequest(find_model("net:Behind"), ("emulator",), chosen), worker)
    assert report.defects == ("frozen-fallback",)
    assert report.works_with == (("resize", "slice"),)


def test_several_targets_are_asked_with_one_model(worker: Worker, folder: Path) -> None:
    request = ModelRequest(
        find_model("net:counted"), ("openvino", "onnxruntime"), Chosen(named=True, resolutions=["16x24"])
    )
    report = check_model(request, worker)
    assert [record.column.target for record in report.records] == ["openvino", "onnxruntime"]
    assert report.passed
    assert (folder / "built.txt").read_text().split() == ["built"]  # once, to be described and for both


def test_layers_are_compiled_alone_where_the_whole_cannot_be_judged(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Chaos(nn.Module):
        """Its rounding is magnified until it looks like another image."""

        def __init__(self) -> None:
            super().__init__()
            self.stem, self.head = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.head((self.stem(x) * 1e9).sin())  # type: ignore[no-any-return]

    report = conformance.check(Chaos(), torch.rand(2, 3, 8, 8), target="openvino", dtype="float32")
    (record,) = report.records
    assert record.status is Status.NOT_JUDGED
    assert [alone.layer for alone in report.isolated] == ["stem", "head"]
    assert report.passed
    assert "  layers compiled alone: 2 of 2 right" in str(report)


def test_report_is_a_failure_where_nothing_could_be_judged() -> None:
    assert not Report("net", ()).passed


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("net:nothing",), "net:nothing cannot be loaded: AttributeError"),
        (("net:crashes",), "building it ends its process: SIGSEGV"),
        (("torchvision:resnet19",), "unknown architecture of torchvision 'resnet19'; did you mean 'resnet18'?"),
        (("best.pt",), "best.pt cannot be read: there is no such file"),
        (("net:Net", "--layers", "stam"), "it has no layer 'stam'; the nearest is 'stem'"),
        (("yolo26n-detec",), "did you mean 'yolo26n-detect'?"),
    ],
)
def test_what_cannot_be_checked_is_one_line(words: tuple[str, ...], said: str) -> None:
    code, _, error = command(*words, "--target", "openvino", "--resolution", "16x24")
    assert code == 2
    assert said in error
    assert len(error.splitlines()) == 1


def test_pytest_runs_the_same(suite: pytest.Pytester, folder: Path) -> None:
    (suite.path / "net.py").write_text(NET)
    options = ("--model", "net:counted", "--target", "toys:OFF_BY_ONE", "--resolution", "16x24", "--isolated",
               "--records", "records", "-p", "no:cacheprovider", "-q", "-n", "2")  # fmt: skip
    result = suite.runpytest_subprocess(SUITE, *options)
    result.assert_outcomes(failed=5)  # the whole, alone and with its layers tapped, and each of three layers alone
    records = read_records(suite.path / "records")
    assert {record.layer for record in records} == {None, "stem", "norm", "head"}
    assert (suite.path / "built.txt").read_text().split().count("built") <= 3  # to be described, and in each worker


def test_model_that_cannot_be_built_is_one_line_of_pytest(suite: pytest.Pytester) -> None:
    (suite.path / "net.py").write_text(NET)
    result = suite.runpytest_subprocess(SUITE, "--model", "net:crashes", "--target", "openvino")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: net.crashes: building it ends its process: SIGSEGV*"])


def test_expectation_of_ones_own_model_holds_in_every_run(suite: pytest.Pytester) -> None:
    (suite.path / "net.py").write_text(NET)
    (suite.path / "expected.toml").write_text(
        '[[expect]]\ncase = "own-net.Net/b2/16x24/fp32@planted"\n'
        'status = "wrong"\nstage = "compare"\nlayer = "head"\nreason = "planted"\n'
    )
    common = ("--records", "records", "-p", "no:cacheprovider", "-q", "--expectations", "expected.toml")
    own = suite.runpytest_subprocess(
        SUITE,
        "--model",
        "net:Net",
        "--target",
        "toys:OFF_BY_ONE",
        "--resolution",
        "16x24",
        "-k",
        "test_model",
        *common,
    )
    own.assert_outcomes(xfailed=1)
    other = suite.runpytest_subprocess(SUITE, "--profile", "toy.toml", "-k", "test_model and b1", *common)
    other.assert_outcomes(passed=1)


class Local(nn.Module):
    """Two outputs by name, of a class that is written in a test."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        y = self.stem(x)
        return {"grid": y, "pooled": y.mean((2, 3))}


def test_module_of_a_script_is_checked(folder: Path) -> None:
    class Inner(Local):
        pass

    module = Inner()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    report = conformance.check(
        module, torch.rand(3, 3, 16, 16), target="openvino", name="mine", records=folder / "kept"
    )
    assert report.passed, report
    assert set(report.records[0].groups) == {"grid", "pooled"}
    assert report.records[0].id == "own-mine/b3/fp32@openvino"
    assert [record.id for record in read_records(folder / "kept")] == ["own-mine/b3/fp32@openvino"]
    assert module.training
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())
    groups = [Group("first", stop=2), Group("rest", start=2)]
    assert {"first", "rest"} < set(
        conformance.check(module, torch.rand(2, 3, 16, 16), target="openvino", groups=groups).records[0].groups
    )


def test_code_that_was_edited_is_not_checked_as_it_was(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process that compiles stays warm, and has the module loaded."""
    monkeypatch.syspath_prepend(folder)
    source = "from torch import nn\n\n\nclass Net(nn.Conv2d):\n"
    source += "    def forward(self, x):\n        return super().forward(x)\n"
    (folder / "edited.py").write_text(source)
    edited = import_module("edited")
    x = torch.rand(2, 3, 8, 8)
    for text in ("super().forward(x)", "super().forward(x).exp()", "super().forward(x).sum().item()"):
        (folder / "edited.py").write_text(source.replace("super().forward(x)", text))
        torch.manual_seed(0)  # the same weights, or another reference would be computed in any case
        report = conformance.check(reload(edited).Net(3, 4, 3), x, target="openvino")
        assert report.passed is not text.endswith("item()"), report
    assert "it gives a float, in which there is no tensor" in str(report)


def test_script_is_not_run_again(folder: Path) -> None:
    (folder / "script.py").write_text(
        "import torch, conformance\nfrom torch import nn\nprint('here')\n"
        "print(conformance.check(nn.Conv2d(3, 4, 3), torch.rand(2, 3, 8, 8), target='openvino').passed)\n"
    )
    done = subprocess.run([sys.executable, "script.py"], capture_output=True, text=True)
    assert done.stdout.split() == ["here", "True"], done.stderr


def test_what_cannot_be_handed_over_is_one_line() -> None:
    module = nn.Conv2d(3, 4, 3)
    module.lock = threading.Lock()  # type: ignore[assignment]
    with pytest.raises(UserError, match=r"Conv2d cannot be taken to the process that compiles it.*package\.module:"):
        conformance.check(module, torch.rand(1, 3, 8, 8))
    with pytest.raises(UserError, match=r"check is given int; expected an nn\.Module, or a model's name"):
        conformance.check(3)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="inputs are for a module, not for 'net:Net'"):
        conformance.check("net:Net", torch.rand(1, 3, 8, 8))
    with pytest.raises(UserError, match=r"its inputs are int; expected a tuple, or a dict, of tensors"):
        conformance.check(nn.Conv2d(3, 4, 3), [3], target="openvino")  # type: ignore[list-item]


def test_fixture_fails_passes_and_skips(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        import torch
        from torch import nn


        class Halves(nn.Module):
            def __init__(self):
                super().__init__()
                self.stem = nn.Conv2d(3, 8, 1)

            def forward(self, x):
                one, two = self.stem(x).split([2, 6], 1)
                return two * one.sum(1, keepdim=True)


        X = torch.rand(2, 3, 8, 8)


        def test_right(conformance):
            report = conformance.check(Halves(), X, target="openvino")
            assert report.records[0].status == "pass"


        def test_wrong(conformance):
            conformance.check(Halves(), X, hardware="inf2", sdk="2.29.1")


        def test_asked_wrongly(conformance):
            conformance.check(Halves(), X, target="nothing")


        def test_undecided(conformance):
            conformance.check(Halves(), X, target="onnxruntime", dtype="bfloat16")
    """)
    result = pytester.runpytest_subprocess(
        "--conformance-target", "emulator", "--conformance-records", "kept", "-p", "no:cacheprovider", "-rs"
    )
    result.assert_outcomes(passed=1, failed=2, skipped=1)
    result.stdout.fnmatch_lines(["*wrong in compare on emulator/inf2/sdk-2.29.1*", "*known: split into given sizes*"])
    result.stdout.fnmatch_lines(["*  with slice: right*"])
    result.stdout.fnmatch_lines(["*cannot be checked: unknown target 'nothing'*"])
    result.stdout.fnmatch_lines(["*nothing could be judged: unsupported on onnxruntime*"])
    assert len(read_records(pytester.path / "kept")) == 4


def test_program_of_torch_export_is_checked(folder: Path) -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.body = nn.Conv2d(3, 4, 3), nn.Sequential(nn.ReLU(), nn.Conv2d(4, 5, 3))

        def forward(self, x: Tensor, scale: Tensor) -> tuple[Tensor, ...]:
            return (self.body(self.stem(x)) * scale).split([2, 3], 1)  # type: ignore[no-any-return]

    example = (torch.rand(2, 3, 20, 24), torch.rand(1))
    torch.export.save(torch.export.export(Net().eval(), example), folder / "net.pt2")
    found = of_file(folder / "net.pt2", None)
    assert found.inputs is not None
    assert [x.shape for x in found.inputs(0)] == [x.shape for x in example]
    assert conformance.check("net.pt2", target="openvino").passed
    report = conformance.check("net.pt2", target="emulator", hardware="inf2", sdk="2.29.1")
    assert report.defects == ("split-with-sizes",)
    assert [layer.path for layer in report.records[0].layers] == ["stem", "body.0", "body.1"]


@pytest.mark.parametrize("name", re.findall(r"```python\n# (\w+\.py)", PAGE))
def test_examples_of_the_page(name: str, folder: Path) -> None:
    for code in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        (folder / code.split()[1]).write_text(code)
        assert len(code.splitlines()) <= 12  # under ten without comment and blank lines between
    (shown,) = (line for line in re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL) if "mine:build" in line)
    lines = {
        "mine.py": shown.split(),
        "script.py": [sys.executable, "script.py"],
        "test_detector.py": [sys.executable, "-m", "pytest", "test_detector.py", "-q"],
        "production.py": [sys.executable, "production.py"],
    }
    program = (
        [str(Path(sys.executable).parent / "conformance")] if lines[name][0] == "conformance" else lines[name][:1]
    )
    done = subprocess.run([*program, *lines[name][1:]], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
