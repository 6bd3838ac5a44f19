"""Files of torch.export from anyone: what is hostile in them is refused in one line before torch sees it, and the
process that reads them can do little."""

from __future__ import annotations

import contextlib
import io
import json
import pickle
import struct
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from packaging.version import Version
from test_lint import lint, net
from torch import Tensor, nn
from torch.export import Dim

from conformance.core.errors import UserError
from conformance.pt2.archive import checked_archive
from conformance.pt2.expressions import require_expression, require_guard

Members = dict[str, bytes]
Edit = Callable[[dict[str, Any]], None]
GRAPH = "models/model.json"


class Dynamic(nn.Module):
    """Sizes that are expressions, some without an example, a graph within the graph, outputs that are nested."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 3, padding=1)

    def forward(self, x: Tensor) -> dict[str, Any]:
        first, second = self.conv(x).split([3, 5], 1)
        y = torch.cat((second, first), 1)[:, :, ::2].flatten(2)
        picked = torch.cond(x.sum() > 0, lambda x: x.sin(), lambda x: x.cos(), (x,))
        return {"y": y.reshape(x.shape[0], -1), "all": [picked, (y.mean(), None)]}


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("honest") / "net.pt2"
    torch.export.save(torch.export.export(net().eval(), (torch.rand(2, 3, 8, 8),)), path)
    return path


@pytest.fixture(scope="module")
def dynamic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("dynamic") / "dynamic.pt2"
    sizes = {"x": {0: Dim("batch", min=2, max=16), 2: 8 * Dim("h", min=1, max=100), 3: Dim.DYNAMIC}}
    torch.export.save(torch.export.export(Dynamic().eval(), (torch.rand(2, 8, 16, 12),), dynamic_shapes=sizes), path)
    return path


def members(path: Path) -> Members:
    with zipfile.ZipFile(path) as archive:
        return {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}


def written(path: Path, content: Members, folder: str = "net/") -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in content.items():
            archive.writestr(f"{folder}{name}", data)
    return path


def edited(edit: Edit) -> Callable[[Members], None]:
    """An edit of the graph's JSON."""

    def change(content: Members) -> None:
        data = json.loads(content[GRAPH])
        edit(data)
        content[GRAPH] = json.dumps(data).encode()

    return change


def refusal(path: Path) -> str:
    with pytest.raises(UserError) as error:
        checked_archive(path)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 700
    return str(error.value)


@pytest.mark.parametrize("arguments", [(), ("--json",)])
def test_sizes_that_are_not_fixed_are_linted_as_well(dynamic: Path, arguments: tuple[str, ...]) -> None:
    code, out, err = lint(str(dynamic), *arguments)
    assert code == 1
    assert "split-with-sizes" in out
    assert err == ""


def test_path_of_the_module_is_named(honest: Path) -> None:
    (found,) = json.loads(lint(str(honest), "--json")[1])
    assert (found["module"], found["shape"]) == ("1", [2, 256, 8, 8])


def test_what_torch_reads_computes_the_same(honest: Path, dynamic: Path) -> None:
    """Only what is not needed is left out: pickles of example inputs, conditions, where in the source it was."""
    for path, shape in ((honest, (2, 3, 8, 8)), (dynamic, (3, 8, 24, 10))):
        checked = checked_archive(path)
        assert b"sin(" not in checked
        assert b"Traceback" not in checked
        assert b"test_pt2.py" not in checked
        x = torch.rand(shape)
        ours = torch.export.load(io.BytesIO(checked)).module()(x)
        theirs = torch.export.load(path).module()(x)
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


def test_files_of_older_torch(honest: Path, tmp_path: Path) -> None:
    from torch._export.serde.serialize import serialize

    made = serialize(torch.export.export(net().eval(), (torch.rand(2, 3, 8, 8),)))
    content = {
        "version": b"8.1",
        "serialized_exported_program.json": made.exported_program,
        "serialized_state_dict.pt": made.state_dict,
        "serialized_constants.pt": made.constants,
        "serialized_example_inputs.pt": made.example_inputs,
    }
    code, out, _ = lint(str(written(tmp_path / "old.pt2", content, folder="")))
    assert code == 1
    assert "split-with-sizes" in out
    state = io.BytesIO()
    torch.save({"weight": Evil(tmp_path / "was-run")}, state)
    content["serialized_state_dict.pt"] = state.getvalue()
    code, out, err = lint(str(written(tmp_path / "evil.pt2", content, folder="")))
    assert code == 2
    assert "is refused: serialized_state_dict.pt: it wants " in err
    assert err.count("\n") == 1
    assert not (tmp_path / "was-run").exists()


class Evil:
    """Pickled, it touches a file when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.path,)


def touching(path: Path) -> str:
    return f"__import__('pathlib').Path({str(path)!r}).touch()"


def first_size(data: dict[str, Any], value: Any) -> None:
    """The first dimension of the first tensor."""
    tensor = next(iter(data["graph_module"]["graph"]["tensor_values"].values()))
    tensor["sizes"][0] = value


def expression(text: Any) -> dict[str, Any]:
    return {"as_expr": {"expr_str": text, "hint": None}}


def nested_graph(data: dict[str, Any], text: str) -> None:
    """An expression in a graph that is an argument of an operator."""
    inner = json.loads(json.dumps(data["graph_module"]["graph"]))
    inner["sym_int_values"]["deep"] = expression(text)
    data["graph_module"]["graph"]["nodes"][0]["inputs"].append(
        {"name": "then", "arg": {"as_graph": {"name": "then", "graph": inner}}, "kind": 1}
    )


def specification(data: dict[str, Any], kind: str, context: Any) -> None:
    """How the inputs are nested."""
    (whole,) = (entry for entry in data["graph_module"]["module_call_graph"] if entry["fqn"] == "")
    spec = {"type": kind, "context": context, "children_spec": []}
    whole["signature"]["in_spec"] = json.dumps([1, spec])


def node(data: dict[str, Any]) -> dict[str, Any]:
    first: dict[str, Any] = data["graph_module"]["graph"]["nodes"][0]
    return first


def pickled(path: Path) -> bytes:
    made = io.BytesIO()
    torch.save(((Evil(path),), {}), made)
    return made.getvalue()


def payload(content: Members, kind: str, name: str, data: bytes) -> None:
    """A constant or a weight that is pickled."""
    entry = {"path_name": name, "is_param": False, "use_pickle": True, "tensor_meta": None}
    content[f"data/{kind}/{name}"] = data
    content[f"data/{kind}/model_{kind}_config.json"] = json.dumps({"config": {"mine": entry}}).encode()


def imported(path: Path) -> str:
    """A module that touches a file when it is imported, by its name."""
    name = f"evil_{path.parent.name.replace('-', '_')}"
    (path.parent / f"{name}.py").write_text(f"import pathlib\npathlib.Path({str(path)!r}).touch()\n")
    return name


# Each brings code along: torch.export.load of torch 2.13 runs it. Written into an honest file.
RUN_BY_TORCH: dict[str, Callable[[Members, Path], None]] = {
    "size": lambda content, path: edited(lambda data: first_size(data, expression(touching(path))))(content),
    "size, in an attribute": lambda content, path: edited(
        lambda data: first_size(data, expression(f"Symbol('s0').__class__({touching(path)})"))
    )(content),
    "symbol": lambda content, path: edited(
        lambda data: data["graph_module"]["graph"]["sym_int_values"].update({"relu": expression(touching(path))})
        or node(data)["outputs"][0]["as_tensor"].update(name="relu")
    )(content),
    "enum of a specification": lambda content, path: edited(
        lambda data: specification(
            data, "builtins.dict", json.dumps([{"__enum__": True, "fqn": f"{imported(path)}:E", "name": "A"}])
        )
    )(content),
    "factory of a specification": lambda content, path: edited(
        lambda data: specification(
            data,
            "collections.defaultdict",
            {"default_factory_module": imported(path), "default_factory_name": "f", "dict_context": []},
        )
    )(content),
    "example inputs": lambda content, path: content.update({"data/sample_inputs/model.pt": pickled(path)}),
    "pickled weight": lambda content, path: payload(content, "weights", "weight_7", pickled(path)),
    "pickled object": lambda content, path: payload(content, "constants", "opaque_obj_0", pickle.dumps(Evil(path))),
    "weights of torch 2.8": lambda content, path: content.update({"data/weights/model.pt": pickled(path)}),
}  # fmt: skip


@pytest.mark.parametrize("route", RUN_BY_TORCH)
def test_code_in_a_file_is_refused_and_not_run(
    honest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, route: str
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    content, mark = members(honest), tmp_path / "was-run"
    RUN_BY_TORCH[route](content, mark)
    path = written(tmp_path / "evil.pt2", content)
    refusal(path)
    assert not mark.exists()
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        warnings.simplefilter("ignore")
        patch.setattr(torch._export.serde.serialize, "_CURRENT_DESERIALIZER", None, raising=False)
        with contextlib.suppress(Exception):
            torch.export.load(path)
    if route != "pickled object" or Version(torch.__version__) >= Version("2.10"):
        assert mark.exists(), "it is no attack: torch does not run it"


@pytest.mark.parametrize("route", ["size", "example inputs", "enum of a specification"])
def test_command_refuses_in_one_line(honest: Path, tmp_path: Path, route: str) -> None:
    content, mark = members(honest), tmp_path / "was-run"
    RUN_BY_TORCH[route](content, mark)
    code, out, err = lint(str(written(tmp_path / "evil.pt2", content)))
    assert code == 2
    assert out == ""
    assert err.count("\n") == 1
    assert "evil.pt2 is refused: " in err
    assert not mark.exists()


def names(value: Any, old: str, new: str) -> Any:
    """The same with one name in the place of another, wherever it stands."""
    return json.loads(json.dumps(value).replace(json.dumps(old), json.dumps(new)))


def renamed(data: dict[str, Any]) -> None:
    data.update(names(data, "conv2d", "x):\n    pass\nimport os\ndef f(x"))


def deep(data: dict[str, Any]) -> None:
    graph: dict[str, Any] = {}
    for _ in range(100):
        graph = {"graph": graph}
    data["graph_module"] = graph


# What is refused of the graph, and a word of the line that says so.
REFUSED: dict[str, tuple[Edit, str]] = {
    "list of expressions": (lambda data: first_size(data, expression(["s0", "exec('1')"])), "expr_str: "),
    "hint": (lambda data: first_size(data, {"as_expr": {"expr_str": "s0", "hint": {"as_int": "exec"}}}), "as_int"),
    "nested argument": (lambda data: nested_graph(data, "print(1)"), "expr_str: 'print(1)' is no plain expression"),
    "key of a range": (lambda data: data["range_constraints"].update({"exec('1')": {}}), "range_constraints: "),
    "end of a range": (lambda data: data["range_constraints"].update({"s0": {"min_val": "exec"}}), "min_val: "),
    "counter without an end": (lambda data: data["range_constraints"].update(u999999999={}), "range_constraints: "),
    "condition": (lambda data: data.update(guards_code=["L['x'].size()[0] > 1 or exec('1')"]), "guards_code: "),
    "name of a node": (renamed, "is not what torch writes there"),
    "name of an argument": (lambda data: node(data)["inputs"][0].update(name="a=exec('1'),b"), "name: "),
    "name of a parameter": (
        lambda data: data.update(names(data, "0.weight", "a')]+[exec('1")),
        "parameter_name: ",
    ),
    "operator of another module": (lambda data: node(data).update(target="torch.os.system"), "target: 'torch.os.sys"),
    "operator that loads a library": (lambda data: node(data).update(target="torch.ops.load_library"), "target: "),
    "operator with a class": (lambda data: node(data).update(target="torch.ops.aten.__class__"), "target: "),
    "operator that calls": (lambda data: node(data).update(target="_operator.methodcaller"), "target: "),
    "operator of an extension": (lambda data: node(data).update(target="#evil:op"), "target: "),
    "operator as an argument": (
        lambda data: node(data)["inputs"].append({"name": "f", "arg": {"as_operator": "torch.hub.load"}, "kind": 1}),
        "as_operator: ",
    ),
    "custom object": (
        lambda data: data["graph_module"]["graph"].update(custom_obj_values={"a": {"name": "a", "class_fqn": "b"}}),
        "objects of classes of its own",
    ),
    "named tuple": (lambda data: specification(data, "collections.namedtuple", '"a.B"'), "in_spec: "),
    "string for a number": (lambda data: data.update(schema_version="8.1"), "schema_version: "),
    "string for an object": (lambda data: first_size(data, "__import__('os')"), "sizes: "),
    "depth": (deep, "nested more than 64 deep"),
    "expression without an end": (lambda data: first_size(data, expression("s0+" * 9000 + "s0")), "expr_str: "),
    "power": (lambda data: first_size(data, expression("9**9**9")), "expr_str: "),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_graph_is_refused(honest: Path, tmp_path: Path, what: str) -> None:
    content = members(honest)
    edit, said = REFUSED[what]
    edited(edit)(content)
    assert said in refusal(written(tmp_path / "evil.pt2", content))


ARCHIVES: dict[str, tuple[Callable[[Members], Any], str]] = {
    "library": (lambda content: content.update({"data/aotinductor/model/model.so": b"\x7fELF"}), "none that torch"),
    "another graph": (lambda content: content.update({"models/other.json": b"{}"}), "none that torch"),
    "out of the folder": (lambda content: content.update({"../../etc/cron.d/evil": b""}), "is no path inside of it"),
    "absolute": (lambda content: content.update({"/etc/cron.d/evil": b""}), "is no path inside of it"),
    "other separator": (lambda content: content.update({"extra\\..\\evil": b""}), "is no path inside of it"),
    "control characters": (lambda content: content.update({"extra/\x1b[31m": b""}), "is no path inside of it"),
    "twice but for case": (lambda content: content.update({"MODELS/model.json": content[GRAPH]}), "have one name"),
    "no graph": (lambda content: content.pop(GRAPH), "has no models/model.json"),
    "no JSON": (lambda content: content.update({GRAPH: b"{" * 10}), "no JSON"),
    "JSON without an end": (lambda content: content.update({GRAPH: b"[" * 200_000}), "nested too deeply"),
    "JSON that is no text": (lambda content: content.update({GRAPH: b"\xff\xfe\x00"}), "no JSON"),
    "large JSON": (lambda content: content.update({GRAPH: b" " * (65 * 2**20)}), "is larger than 64 MiB"),
    "sample inputs that are none": (lambda content: content.update({"data/sample_inputs/model.pt": b"x"}), "no file"),
}  # fmt: skip


@pytest.mark.parametrize("what", ARCHIVES)
def test_archive_is_refused(honest: Path, tmp_path: Path, what: str) -> None:
    content = members(honest)
    change, said = ARCHIVES[what]
    change(content)
    assert said in refusal(written(tmp_path / "evil.pt2", content))


def test_two_members_of_one_name(honest: Path, tmp_path: Path) -> None:
    """Python's reader takes the last one, torch's the first."""
    path = written(tmp_path / "evil.pt2", members(honest))
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr(f"net/{GRAPH}", "{}")
    assert "have one name" in refusal(path)


def test_members_outside_of_the_one_folder(honest: Path, tmp_path: Path) -> None:
    path = written(tmp_path / "evil.pt2", members(honest))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(f"other/{GRAPH}", "{}")
    assert "not in one folder" in refusal(path)


def test_bombs(honest: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(path := tmp_path / "ratio.pt2", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"net/{GRAPH}", members(honest)[GRAPH])
        archive.writestr("net/data/weights/weight_0", bytes(2**26))
    assert "over 100 times what it takes" in refusal(path)
    with zipfile.ZipFile(path := tmp_path / "many.pt2", "w") as archive:
        for number in range(50_001):
            archive.writestr(f"net/data/weights/weight_{number}", b"")
    assert "more than 50,000 members" in refusal(path)
    large = zipfile.ZipInfo("net/data/weights/weight_0")
    with zipfile.ZipFile(path := tmp_path / "sum.pt2", "w", allowZip64=True) as archive:
        archive.writestr(large, b"")
        large.file_size = large.compress_size = 5 * 2**30
    assert "or 4 GiB" in refusal(path)


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x05\x06" + bytes(18), b"PK\x03\x04" + bytes(100)])
def test_what_is_no_archive(tmp_path: Path, content: bytes) -> None:
    (path := tmp_path / "net.pt2").write_bytes(content)
    assert "archive" in refusal(path)


def test_archive_that_is_cut_off_or_damaged(honest: Path, tmp_path: Path) -> None:
    whole = honest.read_bytes()
    for place in range(0, len(whole), len(whole) // 40):
        (path := tmp_path / "net.pt2").write_bytes(whole[:place])
        refusal(path)
        damaged = bytearray(whole)
        damaged[place] ^= 0xFF
        path.write_bytes(damaged)
        said = ""
        try:
            checked_archive(path)
        except UserError as error:
            said = str(error)
        assert "\n" not in said


def test_reader_sees_only_what_was_checked(honest: Path, tmp_path: Path) -> None:
    """What stands before an archive moves the places that Python's reader finds, and not those that torch's does."""
    path = tmp_path / "net.pt2"
    path.write_bytes(struct.pack("<I", 7) * 100 + honest.read_bytes())
    with zipfile.ZipFile(io.BytesIO(checked_archive(path))) as archive:
        assert archive.start_dir > 0
        assert archive.fp is not None
        assert archive.fp.seek(0) == 0
        assert archive.fp.read(4) == b"PK\x03\x04"


@pytest.mark.parametrize(
    "text",
    [
        "s0", "s77 - 1", "2*s0 + u3", "(s0 // 2) % 3", "s0 >= 2", "Max(1, s0)", "Mod(s0, 2)", "true", "-3", "oo",
        "Symbol('s77', positive=True, integer=True)", "Add(Symbol('s0'), Integer(-1))", "sqrt(s0)",
        "Pow(Symbol('s0', integer=True), Integer(2))", "Pow(Symbol('s0'), Rational(1, 2))",
        "Mul(Float('0.5', precision=53), Symbol('zf1', real=True))", "And(StrictGreaterThan(s0, 2), Not(Ne(s0, 3)))",
        "Piecewise(ExprCondPair(Symbol('s0'), true), ExprCondPair(Integer(1), true))", "Where(s0 > 2, s0, 1)",
    ],
)  # fmt: skip
def test_expressions_that_torch_writes(text: str) -> None:
    require_expression(text)


@pytest.mark.parametrize(
    "text",
    [
        "", "exec('1')", "s0.__class__", "().__class__", "__import__", "lambdify(s0, s0)", "eval", "batch",
        "s99999999",
        "Symbol('exec(1)')", "Symbol('s0', exec=True)", "Symbol('s0', integer=exec('1'))", "Symbol(*'a')",
        "Symbol('s0', **{})", "Integer('1')", "Float('exec(1)')", "Integer(x for x in 'a')", "S('exec(1)')",
        "[s0]", "{s0: 1}", "s0[0]", "'s0'", "f'{s0}'", "lambda: 1", "s0 if s0 else 1", "(s0 := 1)", "s0; s1",
        "s0\nimport os", "s0 # x\n", "\uff530", "Add(s0, evaluate=False)", "Max(*s0)", "sympify('1')",
        "parse_expr('1')", "Pow(9, Pow(9, 9))", "9**s0", "Pow(Integer(9), Integer(99999999))",
        "(" * 5000 + ")" * 5000, "s0" + "+s0" * 9000,
    ],
)  # fmt: skip
def test_expressions_that_are_none(text: str) -> None:
    with pytest.raises(UserError, match="is no plain expression"):
        require_expression(text)


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("L['x'].size()[3] % 2 == 0", True),
        ("1 + ((-1 + L['args'][0].size()[2]) // 2) >= 1 and len(L['x']) < 3", True),
        ("max(1, L['x'].storage_offset()) > 1 and math.floor(1.5) == torch.sym_max(1, 2)", True),
        ("L['x'].__class__ == 1", False),
        ("L['x'].numpy().tofile('a')", False),
        ("torch.load('a')", False),
        ("exec('1')", False),
        ("math.floor(key=1)", False),
        ("[x for x in L]", False),
    ],
)
def test_conditions(text: str, good: bool) -> None:
    if good:
        require_guard(text)
    else:
        with pytest.raises(UserError, match="is no plain condition"):
            require_guard(text)


CONFINED = """
import os, socket, subprocess, sys
from conformance.pt2.sandbox import confine
folder = sys.argv[1]
os.mkdir(folder + "/scratch")
print(confine(folder + "/scratch"))
def tried(name, deed):
    try:
        deed()
    except (OSError, MemoryError) as error:
        print(name, "refused")
    else:
        print(name, "done")
tried("scratch", lambda: os.mkdir(folder + "/scratch/new"))
tried("fill", lambda: open(folder + "/scratch/file", "wb").write(b"x" * 2**17))
tried("read", lambda: open(folder + "/there").read())
tried("write", lambda: open(folder + "/new", "w").write("x"))
tried("append", lambda: open(folder + "/there", "a").write("x"))
tried("remove", lambda: os.remove(folder + "/there"))
tried("run", lambda: subprocess.run([sys.executable, "-c", ""]))
tried("connect", lambda: socket.create_connection(("127.0.0.1", int(sys.argv[2])), 1))
tried("allocate", lambda: bytearray(20 * 2**30))
"""


def test_process_that_reads_can_do_little(tmp_path: Path) -> None:
    import socket

    (tmp_path / "there").write_text("here")
    with socket.create_server(("127.0.0.1", 0)) as server:
        words = [sys.executable, "-c", CONFINED, str(tmp_path), str(server.getsockname()[1])]
        said = subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()
    outcome = dict(line.split() for line in said[1:])
    assert outcome["read"] == outcome["scratch"] == "done"
    assert outcome["allocate"] == outcome["fill"] == "refused"
    if "Landlock" not in said[0]:
        pytest.skip("this system has no Landlock")
    assert {outcome[name] for name in ("write", "append", "remove", "run", "connect")} == {"refused"}
    assert (tmp_path / "there").read_text() == "here"
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("stand_in", "message"),
    [
        ("import os; os.abort()", "ended with SIGABRT"),
        ("raise SystemExit(7)", "ended with exit code 7"),
        ('print(\'{"findings": [{"defect": 1}]}\')', "answers something else"),
        ("print('[' * 100000)", "ended with"),
        ("print('[1, 2]')", "ended with"),
    ],
)
def test_whatever_that_process_does_is_one_line(
    honest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stand_in: str, message: str
) -> None:
    from conformance.commands import isolated

    (tmp_path / "lint_child.py").write_text(stand_in)
    monkeypatch.setattr(isolated, "__file__", str(tmp_path / "isolated.py"))
    code, _, err = lint(str(honest))
    assert code == 2
    assert message in err
    assert err.count("\n") == 1


def test_process_is_told_no_secrets(honest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from conformance.commands import isolated

    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    (tmp_path / "lint_child.py").write_text("import json, os; print(json.dumps({'refused': ' '.join(os.environ)}))")
    monkeypatch.setattr(isolated, "__file__", str(tmp_path / "isolated.py"))
    err = lint(str(honest))[2]
    assert "TORCH_FORCE_WEIGHTS_ONLY_LOAD" in err
    assert "AWS" not in err
