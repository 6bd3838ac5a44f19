"""`conformance lint --fix` prints a patch that is certain, and says what to write where none is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from conformance.commands.cli import app
from conformance.commands.respelling import respelled

# A line with a split, and what it becomes.
RESPELLED = {
    "x.split([2, 4], 1)": "x.tensor_split((2,), 1)",
    "x.split([1, 2, 3], dim=-1)": "x.tensor_split((1, 3), dim=-1)",
    "x.split((self.a, self.b), 1)": "x.tensor_split((self.a,), 1)",
    "x.split([self.a, self.b, self.c], 1)": "x.tensor_split((self.a, self.a + self.b), 1)",
    "x.split([a * 2, b[0], -c], 1)": "x.tensor_split(((a * 2), (a * 2) + b[0]), 1)",
    "x.split(split_size=[2, 4], dim=1)": "x.tensor_split(indices=(2,), dim=1)",
    "x.split_with_sizes([a, 4], 1)": "x.tensor_split((a,), 1)",
    "x.split_with_sizes(split_sizes=[2, 4], dim=1)": "x.tensor_split(indices=(2,), dim=1)",
    "torch.split(x, [2, 4], 1)": "torch.tensor_split(x, (2,), 1)",
    "torch.split(x, dim=1, split_size_or_sections=[2, 4])": "torch.tensor_split(x, dim=1, indices=(2,))",
    "torch.split_with_sizes(x, [2, 4], dim=1)": "torch.tensor_split(x, (2,), dim=1)",
    "f(name.split(','), 'é', x.split([2, 4], 1)[0])": None,
    "f('é' * 2, self.g(x).split([2, 4], 1)[0].exp())": "f('é' * 2, self.g(x).tensor_split((2,), 1)[0].exp())",
    # what is not certain
    "x.split(2, 1)": None,
    "x.split(sizes, 1)": None,
    "x.split([6], 1)": None,
    "x.split([next(it), 4], 1)": None,
    "x.split([*sizes, 4], 1)": None,
    "x.split([(n := 2), 4], 1)": None,
    "x.split([2, 4], **where)": None,
    "x.split(*arguments)": None,
    "split(x, [2, 4], 1)": None,
    "x.split([2, 4], 1)[0].split([1, 1], 1)": None,
    "x.split([2, 4], 1": None,
}


@pytest.mark.parametrize("before", RESPELLED)
def test_line_is_respelled_where_that_is_certain(before: str) -> None:
    after = RESPELLED[before]
    source = f"first = 'é'\nif first:\n    y = {before}  # kept\n"
    text, done = respelled(source.encode(), [3, 3])
    assert text.decode() == source.replace(before, after or before)
    assert done == ({3} if after else set())


def test_call_of_several_lines_is_respelled_and_so_are_several_calls() -> None:
    source = "a = x.split(\n    [self.a, self.b],\n    dim=1,\n)\nb = y.split([1, 2], 0); c = 3\n"
    wanted = "a = x.tensor_split(\n    (self.a,),\n    dim=1,\n)\nb = y.tensor_split((1,), 0); c = 3\n"
    assert respelled(source.encode(), [1, 5]) == (wanted.encode(), {1, 5})
    assert respelled(source.encode(), [2])[1] == {2}


class Sizes:
    a, b, c = 1, 2, 3


@pytest.mark.parametrize("before", [line for line, after in RESPELLED.items() if after and "f(" not in line])
def test_what_is_written_computes_the_same(before: str) -> None:
    names = {"torch": torch, "self": Sizes, "a": 1, "b": [2], "c": -2}
    for total in range(2, 8):
        for x in (torch.arange(8.0 * total).view(4, total, 2), torch.arange(4.0 * total).view(4, total)):
            try:
                wanted = eval(before, {**names, "x": x})
            except RuntimeError:  # sizes of another tensor
                continue
            assert all(map(torch.equal, wanted, eval(str(RESPELLED[before]), {**names, "x": x})))
            return
    pytest.fail("no tensor can be split so")


MODEL = """\
import torch
from torch import nn


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.key, self.value = 2, 4
        self.up = nn.Upsample(scale_factor=2, mode="bicubic")

    def forward(self, x):
        query, key, value = x.split(
            [self.key, self.key, self.value], dim=1
        )
        sizes = [3, 5]
        first, second = x.split(sizes, dim=1)
        y = self.up(query * key) + value.mean() + first.mean() * second.mean()
        return y


def net():
    return Attention(), torch.rand(2, 8, 6, 6)


class Refused(nn.Module):
    def forward(self, x):
        y = nn.functional.interpolate(x, scale_factor=2, mode="bicubic") + len(x.tolist())
        return y[0] if x.max() > 1 else y


def refused():
    return Refused(), torch.rand(2, 8, 6, 6)
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "attending.py").write_text(MODEL)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def fixed(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["lint", *arguments, "--fix"])
    return done.exit_code, done.stdout


@pytest.fixture
def fresh() -> None:
    sys.modules.pop("attending", None)


def test_patch_applies_and_what_it_mends_is_gone(here: Path, fresh: None) -> None:
    code, out = fixed("attending:net")
    assert code == 1
    lines = out.splitlines()
    start = lines.index("--- attending.py")
    assert lines[start + 1] == "+++ attending.py"
    assert "+        query, key, value = x.tensor_split(" in lines
    assert "+            (self.key, self.key + self.key), dim=1" in lines
    assert 'attending.py:16: split-with-sizes: conformance.apply_workarounds(module, "slice")' in lines[:start]
    assert 'attending.py:17: frozen-fallback: conformance.apply_workarounds(module, "resize")' in lines[:start]
    assert (here / "attending.py").read_text() == MODEL, "nothing is written"
    subprocess.run(["git", "apply", "-p0"], input=out, text=True, cwd=here, check=True, capture_output=True)
    sys.modules.pop("attending", None)
    again = fixed("attending:net")[1]
    assert "---" not in again
    assert "attending.py:16: split-with-sizes" in again
    assert "attending.py:12: split-with-sizes" not in again


def test_of_a_run_the_module_stands_for_the_line(here: Path, fresh: None) -> None:
    code, out = fixed("attending:refused")
    assert code == 1
    assert 'attending:refused: frozen-fallback: conformance.apply_workarounds(module, "resize")' in out.splitlines()
    assert "attending:refused: frozen-fallback: no workaround is code, see https://" in out


def test_switch_of_the_process_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    from conformance.commands.fixing import Place, fixes

    assert list(fixes([Place("model.1", "as-strided", ("functionalization",), "https://example.org")] * 2)) == [
        "model.1: as-strided: set XLA_DISABLE_FUNCTIONALIZATION=0 in the environment before torch_xla is imported"
    ]
