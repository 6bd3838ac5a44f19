"""Wrong invocations of every command and option: each is one line that says what is wrong, and a non-zero exit."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

import pytest
import toys
from suites import SUITE
from test_records import record
from torch import nn
from typer.main import get_command
from typer.testing import CliRunner, Result

from conformance.cases.outcome import Status
from conformance.commands import exits
from conformance.commands.cli import app
from conformance.results.records import RecordWriter

ID = "toy1-detect/b1/16x16/fp32@planted"
WRONG_ID = "toy1-detect/b2/16x16/fp32@planted"


# Targets and systems that are none, and factories of models that give none.
class Incomplete:
    name = "incomplete"
    hardware = ("cpu",)

    def missing(self) -> None:
        return None


class NeedsArguments(toys.Planted):
    def __init__(self, one: int, two: int) -> None:
        pass


class Raising(toys.Planted):
    def __init__(self) -> None:
        raise ValueError("no device\nat all")


class BrokenProperty(Incomplete):
    @property
    def emulated(self) -> NoReturn:
        raise OSError("who knows")


class MissingRaises(toys.Planted):
    def missing(self) -> NoReturn:
        raise KeyError("driver")


class MissingSaysTrue(toys.Planted):
    def missing(self) -> Any:
        return True


class SystemWithoutTasks(toys.Toy):
    tasks = ()


class SystemWithoutLayers(toys.Toy):
    def layers(self, variant: str, task: str) -> Any:
        return None


class SystemStrideRaises(toys.Toy):
    def stride(self, task: str) -> NoReturn:
        raise LookupError("which task?")


class SystemMissingRaises(toys.Toy):
    def missing(self) -> NoReturn:
        raise RuntimeError("what now")


@dataclass(frozen=True)
class Odd(toys.Planted):
    build: Any = None
    settings: Any = field(default_factory=dict)


HARDWARE_IS_TEXT = replace(toys.HEALTHY, hardware="inf2")  # type: ignore[arg-type]
NAME_IS_NUMBER = replace(toys.HEALTHY, name=3)  # type: ignore[arg-type]
NAME_HAS_SLASH = replace(toys.HEALTHY, name="a/b")
SDKS_IS_NONE = replace(toys.HEALTHY, sdks=None)  # type: ignore[arg-type]
EMULATED_IS_TEXT = replace(toys.HEALTHY, emulated="no")  # type: ignore[arg-type]
SETTINGS_IS_LIST = Odd(settings=["O1"])
NOTHING = None


def factory_raises() -> NoReturn:
    raise RuntimeError("first line\nsecond line\n" + "third " * 999)


def factory_exits() -> NoReturn:
    sys.exit("I am no model")


def factory_of_text() -> str:
    return "no module"


def factory_of_wrong_inputs() -> tuple[nn.Module, str]:
    return nn.ReLU(), "no tensors"


def factory_of_three() -> tuple[nn.Module, None, None]:
    return nn.ReLU(), None, None


def factory_with_arguments(one: int) -> nn.Module:
    return nn.ReLU()


def wrong_channels() -> nn.Module:
    return nn.Conv2d(7, 8, 3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A current folder with good and broken input of every kind."""
    made = tmp_path_factory.mktemp("wrong")
    writer = RecordWriter(made / "good" / "a.jsonl")
    writer.write(record(ID))
    writer.write(record(WRONG_ID, Status.WRONG))
    (made / "empty").mkdir()
    for name, content in {
        "file": "text",
        "junk/a.jsonl": "junk\n",
        "broken.toml": "description = ",
        "binary.toml": "\xff\xfe\x00",
        "unknown.toml": 'description = ""\ntargets = []\nmodel = []\n',
        "type.toml": 'description = 3\ntargets = "emulator"\nmodels = []\n',
        "many.toml": _profile(variants=1000, tasks=1000, batches=100, resolutions=100),
        "no-system.toml": _profile(system="yolo27"),
        "no-target.toml": _profile(targets='["emulater"]'),
        "empty-axis.toml": _profile(variants=0),
        "raises.toml": _profile(system="test_wrong_input:SystemMissingRaises"),
        "strideless.toml": _profile(system="test_wrong_input:SystemStrideRaises"),
        "layerless.toml": _profile(system="test_wrong_input:SystemWithoutLayers") + "\nisolated = true",
        "expect.toml": "[[expect]]\ncase = 3\n",
        "twice.toml": 2 * f'[[expect]]\ncase = "{ID}"\nstatus = "wrong"\nstage = "compare"\nreason = "x"\n',
        "foreign.toml": '[[expect]]\ncase = "a/b1/fp32@x"\nstatus = "wrong"\nstage = "compare"\nreason = "x"\n',
        "labels/labels.json": "{}",
        "labels/a.png": "no picture",
        "programs/a.json": "{",
        "net.pt2": "no archive",
        "breaks.py": "def f(:\n",
        "raises.py": "raise ZeroDivisionError('on import')\n",
        "exits.py": "raise SystemExit(0)\n",
    }.items():
        (made / name).parent.mkdir(exist_ok=True)
        (made / name).write_text(content, encoding="latin-1")
    (made / "toy.toml").write_text(_profile())
    return made


def _profile(system: str = "toys:Toy", targets: str = '["toys:HEALTHY"]', **counts: int) -> str:
    """A profile, with axes of so many values."""
    plain: dict[str, list[Any]] = {"variants": ["1"], "tasks": ["detect"], "batches": [1], "resolutions": ["16x24"]}
    axes = {name: value * counts.get(name, 1) for name, value in plain.items()}
    lines = [f"{name} = {value}" for name, value in axes.items()]
    return "\n".join(['description = ""', f"targets = {targets}", "[[models]]", f'system = "{system}"', *lines])


# Words of the command line, and what the line on stderr must have.
COMMANDS = {
    # the command line itself
    "nonsense": "No such command 'nonsense'",
    "--nonsense": "No such option: --nonsense",
    "matrix nonsense": "Got unexpected extra argument",
    "matrix --nonsense": "No such option: --nonsense",
    "matrix --records": "Option '--records' requires an argument",
    "$'matrix\\x1b[31m'": "No such command",
    # matrix
    "matrix --records nowhere": "no records in nowhere: run `pytest conformance` first",
    "matrix --records ''": "no records in .",
    "matrix --records empty": "no records in empty",
    "matrix --records file": "file is no folder: give the one that the files of records are in",
    "matrix --records junk": "nothing in junk can be read as records: junk/a.jsonl:1 is no record",
    "matrix --records good --output file": "file: File exists",
    "matrix --records good --output file/below": "file/below: Not a directory",
    "matrix --records good --output /proc/nowhere": "/proc/nowhere: ",
    "matrix --records good --output /dev/null": "/dev/null: File exists",
    f"matrix --records good --output {'x' * 300}": "File name too long",
    # diff
    "diff": "Missing argument",
    "diff nowhere good": "no records in nowhere",
    "diff good nowhere": "no records in nowhere",
    "diff good file": "file is no folder",
    "diff good good good": "Got unexpected extra argument",
    "diff good good --json --markdown": "--json and --markdown exclude one another",
    "diff good good --issues file": "file: File exists",
    "diff good good --issues file/below": "file/below: Not a directory",
    "diff good good --common=yes": "--common",
    # cases
    "cases --profile quik": "unknown profile 'quik'; did you mean 'quick'?",
    "cases --profile ''": "--profile is empty",
    "cases --profile nowhere.toml": "cannot read nowhere.toml: No such file or directory",
    "cases --profile broken.toml": "broken.toml is not valid TOML",
    "cases --profile binary.toml": "binary.toml is not valid TOML",
    "cases --profile unknown.toml": "unknown.toml: unknown key 'model'; did you mean 'models'?",
    "cases --profile type.toml": "type.toml: description: Input should be a valid string",
    "cases --profile many.toml": "the axes of the profile multiply to 10,000,000,000 cases; 1,000,000 are the most",
    "cases --profile no-system.toml": "unknown system 'yolo27'; did you mean 'yolo",
    "cases --profile no-target.toml": "unknown target 'emulater'; did you mean 'emulator'?",
    "cases --profile empty-axis.toml": "models.0.variants: List should have at least 1 item",
    "cases --profile raises.toml": "toy: missing() fails with RuntimeError: what now",
    "cases --profile toy.toml/": "unknown profile 'toy.toml/'",
    "cases --target ''": "--target '' has a name that is empty",
    "cases --target emulator,,xla": "--target 'emulator,,xla' has a name that is empty",
    "cases --target emulator,emulator": "--target names 'emulator' twice",
    "cases --target emulater": "unknown target 'emulater'; did you mean 'emulator'?",
    # systems
    "systems --system yolo62": "unknown system 'yolo62'",
    "systems --system ''": "--system '' has a name that is empty",
    "systems --system toys:Nobody": "cannot load system 'toys:Nobody': AttributeError",
    "systems --system os:sep": "os:sep is no system: it lacks name, variants, tasks, licence, missing, stride",
    "systems --system test_wrong_input:SystemMissingRaises": "toy: missing() fails with RuntimeError: what now",
    "systems --system test_wrong_input:SystemWithoutTasks": "has no variant, or no task",
    "systems --system toys:Toy --json --markdown": "--json and --markdown exclude one another",
    "systems --system toys:Toy --check --markdown": "--check and --markdown exclude one another",
    "systems --variant n": "--variant is only for --check",
    "systems --task detect": "--task is only for --check",
    "systems --size 64": "--size is only for --check",
    "systems --system toys:Toy --check --size 0": "Invalid value for '--",
    "systems --system toys:Toy --check --size -8": "Invalid value for '--",
    "systems --system toys:Toy --check --size 12": "size 12 is not divisible by 8",
    "systems --system toys:Toy --check --size 80000000": "is impossible",
    "systems --system toys:Toy --check --size big": "Invalid value for '--size'",
    "systems --system toys:Toy --check --variant 9": "unknown toys:Toy variant '9' (known: 1, 2)",
    "systems --system toys:Toy --check --variant 1,1": "--variant names '1' twice",
    "systems --system toys:Toy --check --task ,": "--task ',' has a name that is empty",
    # explain
    "explain": "Missing argument",
    "explain nothing --records good": "no record of 'nothing'; the nearest is",
    "explain '' --records good": "no record of ''",
    "explain '[' --records good": "no record of '['",
    "explain '*' --records nowhere": "no records in nowhere",
    "explain '*' --records junk": "nothing in junk can be read as records",
    # expect
    "expect --accept": "Option '--accept' requires an argument",
    f"expect --accept {WRONG_ID} --records good": "say why it is accepted: --link URL or --reason TEXT",
    f"expect --accept {WRONG_ID} --link '' --records good": "--link is empty",
    f"expect --accept {WRONG_ID} --reason ' ' --records good": "--reason is empty",
    f"expect --accept {ID} --reason x --records good": "has not failed: there is nothing to accept",
    "expect --accept nothing --reason x --records good": "no record of 'nothing'",
    "expect --accept '*' --reason x --records nowhere": "no records in nowhere",
    f"expect --accept {WRONG_ID} --reason x --records good --until soon": "--until 'soon' is no date",
    f"expect --accept {WRONG_ID} --reason x --records good --until 2027-02-30": "--until '2027-02-30' is no date",
    f"expect --accept {WRONG_ID} --reason x --records good --until ''": "--until '' is no date",
    f"expect --accept {WRONG_ID} --reason x --records good --until 2020-01-01": "--until 2020-01-01 is over",
    f"expect --accept {WRONG_ID} --reason x --records good --expectations empty": "cannot read empty: Is a directory",
    f"expect --accept {WRONG_ID} --reason x --records good --expectations file/e.toml": "file: ",
    f"expect --accept {WRONG_ID} --reason x --records good --expectations broken.toml": "is not valid TOML",
    f"expect --accept {WRONG_ID} --drop {ID} --reason x": "--accept and --drop exclude one another",
    f"expect --drop {ID}": "nothing is expected of",
    f"expect --drop {ID} --expectations broken.toml": "broken.toml is not valid TOML",
    "expect --link https://example.org": "--link is only for --accept",
    "expect --reason x": "--reason is only for --accept",
    "expect --until 2030-01-01": "--until is only for --accept",
    "expect --expectations expect.toml": "expect.toml: expect.0.case: Input should be a valid string",
    "expect --expectations twice.toml": "twice.toml: two entries for",
    "expect --expectations empty": "cannot read empty: Is a directory",
    # calibrate-limits
    "calibrate-limits --records nowhere": "no records in nowhere",
    "calibrate-limits --records junk": "nothing in junk can be read",
    "calibrate-limits --records good": "",
    "calibrate-limits --records good --trust 'toy*'": "--trust 'toy*': no record that should be right and is wrong",
    "calibrate-limits --records good --keep ''": "--keep '' has a name that is empty",
    "calibrate-limits --records good --keep float8": "no figures of",
    "calibrate-limits --write=no": "--write",
    # lint: the model
    "lint": "Missing argument",
    "lint ''": "unknown model ''",
    "lint yolo26q": "unknown model 'yolo26q'; did you mean 'yolo26",
    "lint :": "unknown model ':'",
    "lint .x:y": "unknown model '.x:y'",
    "lint nowhere:net": "nowhere:net cannot be loaded: ModuleNotFoundError",
    "lint breaks:f": "breaks:f cannot be loaded: SyntaxError",
    "lint raises:f": "raises:f cannot be loaded: ZeroDivisionError: on import",
    "lint exits:f": "exits:f cannot be loaded: SystemExit",
    "lint test_wrong_input:nobody": "test_wrong_input:nobody cannot be loaded: AttributeError",
    "lint test_wrong_input:NOTHING": "returns NoneType; expected an nn.Module",
    "lint test_wrong_input:factory_raises": "cannot be built: RuntimeError: first line",
    "lint test_wrong_input:factory_exits": "cannot be built: SystemExit: I am no model",
    "lint test_wrong_input:factory_with_arguments": "cannot be built: TypeError",
    "lint test_wrong_input:factory_of_text": "returns str; expected an nn.Module, or one and its inputs",
    "lint test_wrong_input:factory_of_three": "returns tuple; expected an nn.Module, or one and its inputs",
    "lint test_wrong_input:factory_of_wrong_inputs": "its inputs are str; expected a tuple, or a dict, of tensors",
    "lint test_wrong_input:wrong_channels --resolution 8": "test_wrong_input:wrong_channels cannot be exported: ",
    "lint nowhere.pt2": "nowhere.pt2 cannot be read: there is no such file",
    "lint empty.pt2/": "cannot be read",
    "lint net.pt2 --batch 2": "--batch is only for a model that is exported here",
    "lint net.pt2 --resolution 64": "--resolution is only for a model that is exported here",
    "lint net.pt2": "net.pt2 is refused: it is no archive of torch.export",
    "lint torchvision:resnet19": "unknown architecture of torchvision 'resnet19'; did you mean 'resnet18'?",
    # lint: its options
    "lint toydet98k --hardware inf3": "unknown hardware 'inf3'",
    "lint toydet98k --hardware ''": "unknown hardware ''",
    "lint toydet98k --sdk 1.0": "unknown SDK release '1.0'",
    "lint toydet98k --sdk ''": "unknown SDK release ''",
    "lint toydet98k --batch 0": "Invalid value for '--",
    "lint toydet98k --batch -1": "Invalid value for '--",
    "lint toydet98k --batch 1.5": "Invalid value for '--batch'",
    "lint toydet98k --batch nan": "Invalid value for '--batch'",
    "lint toydet98k --batch ''": "Invalid value for '--batch'",
    "lint toydet98k --batch 999999999999": "batch 999999999999 of 640x640 is impossible",
    "lint toydet98k --resolution big": "resolution 'big' is not HEIGHTxWIDTH",
    "lint toydet98k --resolution ''": "resolution '' is not HEIGHTxWIDTH",
    "lint toydet98k --resolution 64x": "resolution '64x' is not HEIGHTxWIDTH",
    "lint toydet98k --resolution -64x64": "resolution '-64x64' is not HEIGHTxWIDTH",
    "lint toydet98k --resolution 0x0": "resolution 0x0 is impossible: a side is 1 to 16384 pixels",
    "lint toydet98k --resolution 10000000x8": "resolution 10000000x8 is impossible: a side is 1 to 16384 pixels",
    "lint toydet98k --resolution 33x64": "height 33 is not divisible by",
    "lint toydet98k --dtype float8": "dtype 'float8' cannot be judged",
    "lint toydet98k --dtype ''": "dtype '' cannot be judged",
    "lint toydet98k --workarounds slcie": "unknown workaround 'slcie'; did you mean 'slice'?",
    "lint toydet98k --workarounds ''": "--workarounds '' has a name that is empty",
    "lint toydet98k --workarounds slice+": "--workarounds 'slice+' has a name that is empty",
    "lint toydet98k --workarounds none+slice": "--workarounds 'none+slice': none stands alone",
    "lint toydet98k --workarounds slice+slice": "--workarounds names 'slice' twice",
    "lint toydet98k --json --sarif": "--json and --sarif exclude one another",
    "lint toydet98k --json --fix": "--json and --fix exclude one another",
    "lint toydet98k --sarif --fix": "--sarif and --fix exclude one another",
    "lint net.pt2 --fix": "--fix is only for a model that is exported here",
    # check: what is asked before anything is built
    "check": "Missing argument",
    "check ''": "unknown model ''",
    "check yolo26q": "unknown model 'yolo26q'; did you mean 'yolo26",
    "check nowhere.pt": "nowhere.pt cannot be read: there is no such file",
    "check nowhere/net.yaml": "nowhere/net.yaml cannot be read: there is no such file",
    "check net.onnx": "unknown model 'net.onnx'",
    "check toydet98k --target emulater": "unknown target 'emulater'; did you mean 'emulator'?",
    "check toydet98k --target ''": "--target '' has a name that is empty",
    "check toydet98k --target neuron": "neuron needs ",
    "check nowhere:net --target openvino": "nowhere:net cannot be loaded: ModuleNotFoundError",
    "check toydet98k --batch two": "--batch takes whole numbers, such as 1,2,4, not 'two'",
    "check toydet98k --batch 0 --target openvino": "batch 0 is impossible",
    "check toydet98k --resolution big --target openvino": "resolution 'big' is not HEIGHTxWIDTH",
    "check toydet98k --resolution 20 --target openvino": "is not divisible by",
    "check toydet98k --dtype float31 --target openvino": "unknown dtype 'float31'; did you mean",
    "check toydet98k --layers stem": "leave out --layers, --depth and --groups",
    "check nowhere:net --layers ,": "--layers ',' has a name that is empty",
    "check nowhere:net --depth 0": "Invalid value for '--depth'",
    "check nowhere:net --groups boxes=4": "--groups 'boxes=4' is no name such as boxes",
    "check nowhere:net --groups boxes,boxes": "--groups names 'boxes' twice",
    "check nowhere:net --images nowhere --target openvino": "there is no folder nowhere of pictures",
    "check nowhere:net --images ''": "--images is empty",
    "check nowhere:net --isolated=1": "--isolated",
    "check nowhere:net --calibrate=1": "--calibrate",
    "check nowhere:net --no-calibrate=1": "--no-calibrate",
    "check nowhere:net --weights nowhere.pt --target openvino": "there are no weights 'nowhere.pt'",
    "check nowhere:net --weights shapes --target openvino": "own takes no weights: it has its own",
    "check nowhere:net --hardware inf3 --target emulator": "unknown hardware of emulator 'inf3'",
    "check nowhere:net --sdk 1.0 --target emulator": "unknown SDK release '1.0'",
    "check nowhere:net --settings O1 --target openvino": "unknown setting of openvino 'O1'",
    "check nowhere:net --workarounds slize --target openvino": "unknown workaround 'slize'; did you mean 'slice'?",
    "check nowhere:net --calls 1": "--calls 1 is impossible: a whole number, 2 to",
    "check nowhere:net --case-timeout 0": "--case-timeout 0.0 is impossible: seconds, more than 0",
    "check nowhere:net --records file": "--records file is no folder",
    "check nowhere:net --json=1": "--json",
    # those about one case: what each has of its own
    "localize nowhere:net --json=1": "--json",
    "reproduce nowhere:net --output script": "--output script: give it a name that ends in .py",
    "reproduce nowhere:net --issue issue.txt": "--issue issue.txt: give it a name that ends in .md",
    "reproduce nowhere:net --bundle bundle.tar": "--bundle bundle.tar: give it a name that ends in .zip",
    "reproduce nowhere:net --output file/script.py": "--output file is no folder",
    "budget nowhere:net --output file/picture.svg": "--output file is no folder",
    "budget nowhere:net --output picture.png": "is no picture that can be written: give a .svg or .html file",
    "budget nowhere:net --alone=1": "--alone",
    "budget nowhere:net --no-alone=1": "--no-alone",
    "budget nowhere:net --json=1": "--json",
    "minimize nowhere:net --json=1": "--json",
    "search nonsense": "No such command 'nonsense'",
    "search sweep nowhere:net --json=1": "--json",
    "search remedy nowhere:net --json=1": "--json",
    "search pass nowhere:net --json=1": "--json",
    "search sweep nowhere:net --output file/map.svg": "--output file is no folder",
    "search sweep nowhere:net --output map.png": "is no picture that can be written: give a .svg or .html file",
    # operators
    "operators": "say which --target is to be measured: xla, openvino",
    "operators --target emulater": "unknown target 'emulater'; did you mean 'emulator'?",
    "operators --target neuron": "neuron needs ",
    "operators --target openvino --match ''": "--match '' has a name that is empty",
    "operators --target openvino --dtype float31": "unknown dtype 'float31'; did you mean 'float32'",
    "operators --target openvino --workers 0": "Invalid value for '--",
    "operators --target openvino --timeout 0": "--timeout 0.0 is impossible: seconds",
    "operators --target openvino --output file": "--output file is no folder",
    "operators --target openvino --again=1": "--again",
    "operators --render=1": "--render",
    "operators --render --output file": "--output file is no folder",
    # survey
    "survey --of torchvison": "unknown source of architectures 'torchvison'; did you mean 'torchvision'?",
    "survey --of ''": "--of '' has a name that is empty",
    "survey --of timm,timm": "--of names 'timm' twice",
    "survey --sdk 1.0": "unknown SDK release '1.0'",
    "survey --sdk ''": "--sdk '' has a name that is empty",
    "survey --hardware inf2,trn9": "unknown hardware 'trn9'",
    "survey --match ''": "--match '' has a name that is empty",
    "survey --batch 0": "Invalid value for '--",
    "survey --batch 999999999999 --resolution 64": "is impossible",
    "survey --resolution big": "resolution 'big' is not HEIGHTxWIDTH",
    "survey --workers 0": "Invalid value for '--",
    "survey --timeout 0": "--timeout 0.0 is impossible: seconds",
    "survey --timeout soon": "Invalid value for '--timeout'",
    "survey --target emulater": "unknown target 'emulater'; did you mean 'emulator'?",
    "survey --target neuron": "neuron needs ",
    "survey --million 3": "--million is only for --target",
    "survey --target openvino --million -1": "Invalid value for '--million'",
    "survey --records file": "--records file is no folder",
    "survey --output file": "--output file is no folder",
    "survey --output file/below": "--output file/below cannot be written to",
    "survey --render --output empty": "there is no survey in empty",
    "survey --render --match x": "--match is only for a survey that is made",
    "survey --render --smallest": "--smallest is only for a survey that is made",
    "survey --json --markdown": "--json and --markdown exclude one another",
    # analyze: no torch-neuronx here, and what is asked before
    "analyze": "Missing argument",
    "analyze toydet98k --batch 0": "Invalid value for '--",
    "analyze toydet98k --resolution big": "resolution 'big' is not HEIGHTxWIDTH",
    "analyze toydet98k --resolution 99999999": "is impossible: a side is",
    "analyze toydet98k --workarounds +": "--workarounds '+' has a name that is empty",
    "analyze toydet98k --dtype float32": "neuron needs ",
    "analyze toydet98k --json=1": "--json",
    # defects
    "defects --sdk 9.9": "unknown SDK release '9.9'",
    "defects --sdk ''": "unknown SDK release ''",
    "defects --hardware trn9": "unknown hardware 'trn9'",
    "defects --between 2.28": "Option '--between' requires 2 arguments",
    "defects --between 2.28 9.9": "unknown SDK release '9.9'",
    "defects --between 2.28 2.29.1 --sdk 2.28": "--sdk and --between exclude one another",
    "defects --json=1": "--json",
    # partition
    "partition --variant r18": "unknown fasterrcnn variant 'r18'",
    "partition --variant ''": "unknown fasterrcnn variant ''",
    "partition --resolution 33": "is not divisible by",
    "partition --resolution 320x320x3": "is not HEIGHTxWIDTH",
    "partition --resolution 99999999": "is impossible: a side is",
    "partition --json=1": "--json",
    "partition --runs 0": "Invalid value for '--",
    "partition --runs 1001": "Invalid value for '--runs'",
    "partition --runs many": "Invalid value for '--runs'",
    # doctor
    "doctor extra": "Got unexpected extra argument",
    "doctor --json=1": "--json",
    "doctor --yaml": "No such option: --yaml",
    "doctor --run --json": "--run and --json exclude one another",
    "doctor --target openvino": "--target is only for --run",
    "doctor --run --target emulater": "unknown target 'emulater'; did you mean 'emulator'?",
    # replay
    "replay": "Missing argument",
    "replay nowhere.hlo": "there is no file nowhere.hlo",
    "replay empty": "there is no file empty",
    "replay file --values nowhere": "there is no file nowhere",
    "replay file --seed -1": "Invalid value for '--seed'",
    "replay file --json=1": "--json",
}
# Of every command that is about one case, behind its name.
OF_ONE_CASE = {
    "''": "unknown model ''",
    "yolo26q": "unknown model 'yolo26q'; did you mean 'yolo26",
    "yolo26n@": "'yolo26n@' is no case id",
    "yolo26n-detect/b2/320x320/fp32/model.10@xla": "is one layer alone: name the case of the whole model",
    "yolo26n-detect/b2/320x320/fp32@xla --target xla": "says all of a case: leave the options out",
    "toydet98k --target emulater": "unknown target 'emulater'; did you mean 'emulator'?",
    "toydet98k --batch two": "--batch takes whole numbers, such as 1,2,4, not 'two'",
    "toydet98k --resolution big --target openvino": "resolution 'big' is not HEIGHTxWIDTH",
    "toydet98k --dtype float31 --target openvino": "unknown dtype 'float31'; did you mean",
    "nowhere:net --images ''": "--images is empty",
    "nowhere:net --calibrate=1": "--calibrate",
    "nowhere:net --no-calibrate=1": "--no-calibrate",
    "nowhere:net --weights nowhere.pt --target openvino": "there are no weights 'nowhere.pt'",
    "nowhere:net --hardware inf3 --target emulator": "unknown hardware of emulator 'inf3'",
    "nowhere:net --sdk 1.0 --target emulator": "unknown SDK release '1.0'",
    "nowhere:net --settings O1 --target openvino": "unknown setting of openvino 'O1'",
    "nowhere:net --workarounds slize --target openvino": "unknown workaround 'slize'; did you mean 'slice'?",
    "nowhere:net --case-timeout 0": "--case-timeout 0.0 is impossible: seconds, more than 0",
    "nowhere:net --records file": "--records file is no folder",
}
ABOUT_ONE_CASE = ("localize", "budget", "minimize", "reproduce", "search sweep", "search remedy", "search pass")
COMMANDS |= {f"{name} {words}": said for name in ABOUT_ONE_CASE for words, said in OF_ONE_CASE.items()}
COMMANDS |= {  # of a sweep this asks for what is around the case
    f"{name} yolo26n-detect/b2/320x320/fp32@xla --batch 2": "says all of a case: leave the options out"
    for name in ABOUT_ONE_CASE
    if name != "search sweep"
}
# Options of pytest, with the toy's profile, and what the usage error must have.
PLUGIN = {
    "--profile quik": "unknown profile 'quik'; did you mean 'quick'?",
    "--profile ''": "--profile is empty",
    "--profile nowhere.toml": "cannot read nowhere.toml: No such file",
    "--profile empty": "unknown profile 'empty'",
    "--profile broken.toml": "broken.toml is not valid TOML",
    "--profile binary.toml": "binary.toml is not valid TOML",
    "--profile many.toml": "multiply to 10,000,000,000 cases",
    "--profile raises.toml": "toy: missing() fails with RuntimeError",
    "--profile strideless.toml": "internal error: LookupError: which task? at test_wrong_input.py:",
    "--profile layerless.toml": "internal error: TypeError: ",
    "--target ''": "--target '' has a name that is empty",
    "--target ,": "--target ',' has a name that is empty",
    "--target :": "cannot load target ':': it is not package.module:attribute",
    "--target .x:y": "cannot load target '.x:y': it is not package.module:attribute",
    "--target x.:y": "cannot load target 'x.:y': it is not package.module:attribute",
    "--target a:b:c": "cannot load target 'a:b:c': it is not package.module:attribute",
    "--target nowhere:x": "cannot load target 'nowhere:x': ModuleNotFoundError",
    "--target os:nothing": "cannot load target 'os:nothing': AttributeError",
    "--target os:system": "os:system is no target: it lacks name, emulated, hardware, sdks, variables, missing",
    "--target os:sep": "os:sep is no target: it lacks",
    "--target breaks:f": "cannot load target 'breaks:f': SyntaxError",
    "--target raises:f": "cannot load target 'raises:f': ZeroDivisionError: on import",
    "--target exits:f": "cannot load target 'exits:f': SystemExit",
    "--target test_wrong_input:NOTHING": "test_wrong_input:NOTHING is no target: it lacks name",
    "--target test_wrong_input:Incomplete": "it lacks emulated, sdks, variables, packages, compile; see ",
    "--target test_wrong_input:NeedsArguments": "cannot load target 'test_wrong_input:NeedsArguments': TypeError",
    "--target test_wrong_input:Raising": "cannot load target 'test_wrong_input:Raising': ValueError: no device",
    "--target test_wrong_input:BrokenProperty": "its emulated fails with OSError: who knows",
    "--target test_wrong_input:MissingRaises": "planted: missing() fails with KeyError: 'driver'",
    "--target test_wrong_input:MissingSaysTrue": "planted: missing() gives bool; expected a reason, or None",
    "--target test_wrong_input:HARDWARE_IS_TEXT": "its hardware is 'inf2'; expected a tuple of names",
    "--target test_wrong_input:NAME_IS_NUMBER": "its name is 3; expected a name of letters",
    "--target test_wrong_input:NAME_HAS_SLASH": "its name is 'a/b'; expected a name of letters",
    "--target test_wrong_input:SDKS_IS_NONE": "its sdks is None; expected a tuple of names",
    "--target test_wrong_input:EMULATED_IS_TEXT": "its emulated is 'no'; expected True or False",
    "--target test_wrong_input:SETTINGS_IS_LIST": "its settings is ['O1']; expected a dict of strings",
    "--target toys:ABSENTEE": "absentee needs nothing_of_the_kind: pip install",
    "--target toys:HEALTHY,toys:HEALTHY": "--target names 'toys:HEALTHY' twice",
    "--target toys:HEALTHY,toys:STALE": "two targets are called 'planted'",
    "--system toy": "unknown system of profile toy.toml 'toy'",
    "--system ''": "--system '' has a name that is empty",
    "--variant 9": "unknown toy variant '9' (known: 1, 2)",
    "--variant 1,,2": "--variant '1,,2' has a name that is empty",
    "--variant 1,1": "--variant names '1' twice",
    "--task drive": "unknown toy task 'drive'",
    "--task ' '": "--task '' has a name that is empty",
    "--batch 0": "batch 0 is impossible",
    "--batch=-3": "batch -3 is impossible",
    "--batch ''": "--batch '' has a name that is empty",
    "--batch two": "--batch takes whole numbers, such as 1,2,4, not 'two'",
    "--batch 1.5": "--batch takes whole numbers",
    "--batch 1e3": "--batch takes whole numbers",
    "--batch nan": "--batch takes whole numbers",
    f"--batch {'9' * 5000}": "--batch takes whole numbers",
    "--batch 999999999": "batch 999999999 of 16x24 is impossible",
    "--batch 2,2": "--batch names '2' twice",
    "--resolution ''": "--resolution '' has a name that is empty",
    "--resolution big": "resolution 'big' is not HEIGHTxWIDTH",
    "--resolution 20x24": "resolution 20x24: height 20 is not divisible by 8; try 16",
    "--resolution 0": "resolution 0 is impossible",
    "--resolution 10000000x8": "resolution 10000000x8 is impossible: a side is 1 to 16384 pixels",
    "--dtype ''": "--dtype '' has a name that is empty",
    "--dtype ,": "--dtype ',' has a name that is empty",
    "--dtype float31": "unknown dtype 'float31'; did you mean",
    "--hardware inf2": "unknown hardware of toys:HEALTHY 'inf2'",
    "--hardware ''": "--hardware '' has a name that is empty",
    "--sdk 1.0": "unknown SDK release '1.0'",
    "--sdk ''": "--sdk '' has a name that is empty",
    "--settings O1": "unknown setting of toys:HEALTHY 'O1'",
    "--settings O1+": "--settings 'O1+' has a name that is empty",
    "--settings ''": "--settings '' has a name that is empty",
    "--settings none,none": "--settings names 'none' twice",
    "--compile-only": "unknown setting of toys:HEALTHY 'compile-only'",
    "--workarounds slize": "unknown workaround 'slize'; did you mean 'slice'?",
    "--workarounds ''": "--workarounds '' has a name that is empty",
    "--workarounds slice,none+slice": "--workarounds 'none+slice': none stands alone",
    "--workarounds slice+slice": "--workarounds names 'slice' twice",
    "--workarounds slice+chunk,chunk+slice": "--workarounds names 'chunk+slice' twice",
    "--weights ''": "--weights '' has a name that is empty",
    "--weights nowhere.pt": "there are no weights 'nowhere.pt'",
    "--weights shapes": "toy takes no weights: it has its own",
    "--images nowhere": "there is no folder nowhere of pictures",
    "--images ''": "--images is empty",
    "--images file": "there is no folder file of pictures",
    "--images empty": "there is no picture in empty",
    "--images labels": "labels/labels.json: images: Field required",
    "--case nonsense": "'nonsense' is no case id; one looks like",
    "--case ''": "--case is empty",
    f"--target toys:HEALTHY --case {ID.replace('toy1', 'toy9')}": "unknown model 'toy9-detect'",
    f"--case {ID} --variant 2": "--case is one case, whose id says it all: leave out --variant",
    f"--case {ID} --compile-only": "leave out --compile-only",
    "--records file": "--records file is no folder",
    "--records file/below": "--records file/below cannot be written to",
    "--records ''": "--records is empty",
    "--calls 1": "--calls 1 is impossible: a whole number, 2 to",
    "--calls many": "--calls many is impossible",
    "--calls=-4": "--calls -4 is impossible",
    "--calls 1e9": "--calls 1e9 is impossible",
    "--case-timeout 0": "--case-timeout 0 is impossible: seconds, more than 0",
    "--case-timeout=-1": "--case-timeout -1 is impossible",
    "--case-timeout nan": "--case-timeout nan is impossible",
    "--case-timeout inf": "--case-timeout inf is impossible",
    "--case-timeout 1e99": "--case-timeout 1e99 is impossible",
    "--case-timeout soon": "--case-timeout soon is impossible",
    "--case-timeout ''": "--case-timeout is impossible",
    "--expectations nowhere.toml": "there is no file nowhere.toml; `conformance expect --accept` makes one",
    "--expectations empty": "there is no file empty",
    "--expectations ''": "--expectations is empty",
    "--expectations broken.toml": "broken.toml is not valid TOML",
    "--expectations expect.toml": "expect.toml: expect.0.case: Input should be a valid string",
    "--expectations twice.toml": "twice.toml: two entries for",
    "--expectations foreign.toml": "foreign.toml: a/b1/fp32@x: unknown model 'a' (known: ",
    "--programs nowhere": "--programs nowhere: there is no such folder",
    "--programs file": "--programs file is no folder",
    "--programs ''": "--programs is empty",
    "--programs programs": "programs/a.json is not valid JSON",
    "--accept": "say why it is accepted: --link URL or --reason TEXT",
    "--accept --reason ''": "--reason is empty",
    "--link https://example.org": "--link is only for --accept",
    "--accept --reason x --programs file/below": "--programs file/below cannot be written to",
    "--model nowhere:net": "--model says which model: leave out --profile",
    "--model ''": "--model says which model: leave out --profile",
    "--layers stem": "--layers is only for --model: leave it out",
    "--depth 1": "--depth is only for --model: leave it out",
    "--groups boxes": "--groups is only for --model: leave it out",
    "--isolated": "--isolated is only for --model: leave it out",
    "--calibrate": "--calibrate is only for --model: leave it out",
    "--no-calibrate": "--no-calibrate is only for --model: leave it out",
    "--hypothesis-profile weekly": "unknown hypothesis profile 'weekly'",
}


@pytest.fixture
def here(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(folder)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.syspath_prepend(str(folder))
    before = sorted(folder.rglob("*"))
    yield folder
    ignored = {"__pycache__"}
    made = [path for path in sorted(folder.rglob("*")) if path not in before and not ignored & set(path.parts)]
    assert made == [], "what is refused makes no files"


def run(words: str) -> Result:
    return CliRunner().invoke(app, shlex.split(words))


@pytest.mark.parametrize("words", COMMANDS)
def test_command(here: Path, words: str) -> None:
    done = run(words)
    assert done.exit_code == exits.FORESEEN, (done.exit_code, done.output)
    assert done.stderr.startswith("error: "), done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert COMMANDS[words] in done.stderr
    assert len(done.stderr) < 700
    assert done.stderr.strip().isprintable()
    assert "Traceback" not in done.output


# With --model, and no profile.
OF_A_MODEL = {
    "--model ''": "--model is empty",
    "--model nowhere": "unknown model 'nowhere'",
    "--model nowhere:net --system toydet": "--model says which model: leave out --system",
    "--model nowhere:net --depth many": "--depth many is impossible: a whole number, 1 or more",
    "--model nowhere:net --groups a=b": "--groups 'a=b' is no name such as boxes",
    "--model nowhere:net --layers ''": "--layers '' has a name that is empty",
    "--model nowhere:net --calibrate --no-calibrate": "--calibrate and --no-calibrate exclude one another",
    "--model nowhere:net --target emulater": "unknown target 'emulater'; did you mean 'emulator'?",
    "--model toydet98k --target openvino --case nonsense": "'nonsense' is no case id; one looks like",
    "--model toydet98k --target openvino --batch 0": "batch 0 is impossible",
}


@pytest.mark.parametrize("words", OF_A_MODEL)
def test_option_of_a_model(here: Path, pytester: pytest.Pytester, words: str) -> None:
    os.chdir(here)
    with pytest.raises(pytest.UsageError) as error:
        pytester.parseconfigure(SUITE, "-p", "no:cacheprovider", *shlex.split(words))
    (message,) = error.value.args
    assert OF_A_MODEL[words] in message
    assert message.isprintable()


@pytest.mark.parametrize("words", PLUGIN)
def test_option_of_pytest(here: Path, pytester: pytest.Pytester, words: str) -> None:
    os.chdir(here)  # pytester has one of its own
    with pytest.raises(pytest.UsageError) as error:
        pytester.parseconfigure(SUITE, "--profile", "toy.toml", "-p", "no:cacheprovider", *shlex.split(words))
    (message,) = error.value.args
    assert PLUGIN[words] in message
    assert message.isprintable()
    assert len(message) < 700


def _commands(group: Any) -> Iterator[tuple[str, Any]]:
    """Every command by its words, those of a group as well."""
    for name in group.commands:
        command = group.load(name)
        yield name, command
        yield from ((f"{name} {word}", part) for word, part in getattr(command, "commands", {}).items())


def test_table_is_of_every_command_and_every_option() -> None:
    assert len(COMMANDS) + len(PLUGIN) >= 100
    group: Any = get_command(app)
    for name, command in _commands(group):
        mine = [words for words in COMMANDS if f"{words} ".startswith(f"{name} ")]
        assert mine, name
        for option in (option for parameter in command.params for option in parameter.opts):
            if option.startswith("--") and option != "--help":
                assert any(f" {option}" in words for words in mine), f"{name} {option}"


def test_table_is_of_every_option_of_pytest(pytester: pytest.Pytester) -> None:
    parser = pytester.parseconfig()._parser
    (group,) = (group for group in parser._groups if group.name == "conformance")
    for option in (name for each in group.options for name in each.names()):
        without, short = {"--fail-known": "a switch"}, option.replace("--conformance-", "--")
        assert short in without or any(short in words for words in PLUGIN), option


def test_pytest_says_it_in_one_line(here: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", SUITE, "--profile", "toy.toml", "--target", "os:system"],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert done.stdout == ""
    assert done.stderr.strip().startswith("ERROR: os:system is no target")
    assert done.stderr.strip().count("\n") == 0


def test_bug_of_ours_is_one_line_and_its_traceback_is_kept(
    here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bug(records: object) -> NoReturn:
        raise KeyError("what\nis this")

    monkeypatch.setattr("conformance.commands.matrix.build_matrix", bug)
    done = run("matrix --records good")
    assert done.exit_code == exits.INTERNAL
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: internal error: KeyError: 'what")
    (kept,) = tmp_path.iterdir()
    assert str(kept) in done.stderr
    assert 'raise KeyError("what' in kept.read_text()
    monkeypatch.setenv(exits.DEBUG, "1")
    assert isinstance(run("matrix --records good").exception, KeyError)


def test_traceback_of_a_users_factory_is_shown_on_demand(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(exits.DEBUG, "1")
    error = run("lint test_wrong_input:factory_raises").exception
    assert error is not None
    assert isinstance(error.__cause__, RuntimeError)


@pytest.mark.parametrize(
    ("redirect", "code", "said"), [(">/dev/full", 2, "No space left on device"), ("| true", 0, "")]
)
def test_output_that_cannot_be_written(redirect: str, code: int, said: str) -> None:
    command = f"{sys.executable} -c 'from conformance.commands.cli import app; app()' defects --json {redirect}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.returncode == code
    assert said in done.stderr
    assert done.stderr.count("\n") == bool(said)
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
