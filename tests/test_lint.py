"""What is known to go wrong is named from the graph alone, and nothing else is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from typer.testing import CliRunner

from conformance.commands.cli import app


def lint(*arguments: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["lint", *arguments])
    return done.exit_code, done.stdout, done.stderr


class Halves(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        first, second = x.split([128, 128], 1)  # type: ignore[no-untyped-call]
        return torch.cat((second, first), 1)


def net() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 256, 1), Halves())


def ranked() -> tuple[nn.Module, tuple[Tensor, ...]]:
    class Ranked(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.int().topk(2).values

    return Ranked(), (torch.rand(1, 9),)


def nothing() -> str:
    return "no module"


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))


def test_defects_of_a_module_are_named_with_all_that_is_known() -> None:
    code, out, _ = lint("test_lint:net", "--batch", "2", "--resolution", "32x32", "--json")
    (found,) = json.loads(out)
    assert code == 1
    assert found["links"][0].startswith("https://")
    assert (found["defect"], found["module"], found["operator"]) == ("split-with-sizes", "1", "split_with_sizes")
    assert (found["shape"], found["certainty"]) == ([2, 256, 32, 32], "reproduced")
    assert found["workarounds"] == ["slice", "chunk", "tensor_split", "functionalization"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--batch", "1"),  # nothing before the dimension that is split
        ("--workarounds", "slice"),
        ("--workarounds", "functionalization"),
    ],
)
def test_where_nothing_goes_wrong_the_exit_code_is_zero(arguments: tuple[str, ...]) -> None:
    code, out, _ = lint("test_lint:net", "--batch", "2", "--resolution", "32x32", *arguments)
    assert code == 0
    assert "nothing that is known goes wrong" in out


def test_factory_may_bring_its_inputs() -> None:
    code, out, _ = lint("test_lint:ranked", "--sdk", "2.31", "--json")
    assert code == 1
    assert [one["defect"] for one in json.loads(out)] == ["topk-integers"]


def test_exported_program_of_a_file(tmp_path: Path) -> None:
    torch.export.save(torch.export.export(net().eval(), (torch.rand(2, 3, 8, 8),)), tmp_path / "net.pt2")
    code, out, _ = lint(str(tmp_path / "net.pt2"))
    assert code == 1
    assert "split-with-sizes" in out


def test_sarif_has_a_rule_and_a_result() -> None:
    _, out, _ = lint("test_lint:net", "--batch", "2", "--resolution", "32x32", "--sarif")
    (run,) = json.loads(out)["runs"]
    (rule,), (result,) = run["tool"]["driver"]["rules"], run["results"]
    assert rule["id"] == result["ruleId"] == "split-with-sizes"
    assert result["level"] == "error"
    assert "Use slice or" in result["message"]["text"]


def test_hardware_release_and_dtype_decide() -> None:
    arguments = ("test_lint:net", "--batch", "4", "--resolution", "8x8", "--json")
    ids = {
        (hardware, sdk): [
            one["defect"] for one in json.loads(lint(*arguments, "--hardware", hardware, "--sdk", sdk)[1])
        ]
        for hardware, sdk in (("inf2", "2.29.1"), ("trn2", "2.29.1"), ("inf2", "2.31.0"))
    }
    assert ids == {
        ("inf2", "2.29.1"): ["split-with-sizes", "batch-4-split"],
        ("trn2", "2.29.1"): ["split-with-sizes"],
        ("inf2", "2.31.0"): ["split-with-sizes", "batch-4-split"],  # no release without it is known
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("yolo26q",), "unknown model 'yolo26q'"),
        (("test_lint:absent",), "test_lint:absent cannot be loaded"),
        (("test_lint:nothing",), "returns str; expected an nn.Module"),
        (("absent.pt2",), "absent.pt2 cannot be read"),
        (("test_lint:net", "--hardware", "inf3"), "unknown hardware 'inf3'"),
        (("test_lint:net", "--sdk", "1.0"), "unknown SDK release '1.0'"),
        (("test_lint:net", "--dtype", "float8"), "dtype 'float8' cannot be judged"),
        (("test_lint:net", "--workarounds", "slcie"), "unknown workaround 'slcie'; did you mean 'slice'?"),
        (("test_lint:net", "--resolution", "big"), "big"),
    ],
)
def test_bad_input_is_one_line(arguments: tuple[str, ...], message: str) -> None:
    code, out, err = lint(*arguments)
    assert code == 2
    assert message in err
    assert err.count("\n") == 1
    assert not out


@pytest.mark.slow
def test_yolo26_at_full_size_without_weights() -> None:
    pytest.importorskip("ultralytics")
    plain, helped = (json.loads(lint("yolo26n-detect", "--json", *on)[1]) for on in ((), ("--workarounds", "slice")))
    assert [(one["defect"], one["module"]) for one in plain] == [
        ("split-with-sizes", "model.10.m.0.attn"),
        ("split-with-sizes", "model.22.m.0.1.attn"),
    ]
    assert helped == []
