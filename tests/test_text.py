"""Text from outside is made fit to be shown, wherever it comes from and in whatever form it is shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from suites import run
from test_records import line
from torch import Tensor, nn
from typer.testing import CliRunner

from conformance.cases.expectation import read_expectations
from conformance.commands.cli import app
from conformance.commands.lint import lint
from conformance.commands.model_loading import TraceSpec
from conformance.core.errors import UserError, first_line, unknown
from conformance.core.text import cleaned, one_line, printable, shortened

RED = "\x1b[31mred\x1b[0m"
TITLE = "\x1b]0;title\x07"
LINK = "\x1b]8;;https://example.org\x1b\\link\x1b]8;;\x1b\\"
CLEAR = "\x9b2J"
BELL = "\x07"
REVERSED = "\u202egnp.exe"
HOSTILE = f"{RED}{TITLE}{LINK}{CLEAR}{BELL}{REVERSED}\u2066\u200b\u2028\x00\x7f"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, née 型 ✗", "plain, née 型 ✗"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("one\r\ntwo\rthree", "one\ntwo\nthree"),
        (RED, "red"),
        (TITLE, ""),
        (LINK, "link"),
        (CLEAR, ""),
        (BELL, "\\x07"),
        (REVERSED, "\\u202egnp.exe"),
        ("\x1b", "\\x1b"),
        ("\x1b]0;without an end", "\\x1b]0;without an end"),
        ("\x1b[\x1b[31m", "\\x1b["),
        ("a\u2028b\u0085c\u00a0d", "a b\\x85c d"),
        ("\ud800", "\\ud800"),
    ],
)
def test_what_is_shown_of_a_text(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert one_line(text) == " ".join(shown.split())


def test_plain_data_and_errors_are_shown_so_as_well() -> None:
    assert cleaned({RED: [TITLE, 1, None, {"a": BELL}]}) == {"red": ["", 1, None, {"a": "\\x07"}]}
    assert str(UserError(f"{RED}\nand\u2028more")) == "red and more"
    assert str(unknown("target", RED, ["red"])) == "unknown target 'red' (known: red)"
    assert first_line(ValueError(f"{RED}\nmore")) == "ValueError: red"
    assert first_line(ValueError()) == "ValueError"
    assert len(shortened("x" * 9999)) == 300


@pytest.fixture
def records(tmp_path: Path) -> Path:
    """A record with hostile text wherever there is text, also the name of a defect that nobody knows."""
    said = json.loads(line(f"toy1-detect/b1/16x16/fp32@{HOSTILE}", status="wrong", signature=HOSTILE, detail=HOSTILE))
    said |= dict.fromkeys(("system", "variant", "task", "target", "hardware", "command", "first_bad_layer"), HOSTILE)
    said |= {"notes": [HOSTILE], "defects": [HOSTILE], "workarounds": [HOSTILE], "environment": {HOSTILE: HOSTILE}}
    figures = said["groups"]["boxes"]
    said["groups"] = {HOSTILE: figures}
    layer = {"path": HOSTILE, "type": HOSTILE, "how": "in_place", "noise_ratio": 9.0, "cosine": 0.1, "bad": True}
    said["layers"] = [{**layer, "per_image": figures["per_image"]}]
    (tmp_path / "records").mkdir()
    (tmp_path / "records" / "a.jsonl").write_text(json.dumps(said) + "\n" + line("toy1-detect/b2/16x16/fp32@planted"))
    return tmp_path / "records"


@pytest.mark.parametrize(
    "words",
    [
        ["matrix", "--records", "RECORDS", "--output", "OUTPUT"],
        ["diff", "RECORDS", "RECORDS"],
        ["diff", "HEALTHY", "RECORDS", "--issues", "OUTPUT"],
        ["diff", "HEALTHY", "RECORDS", "--markdown"],
        ["diff", "HEALTHY", "RECORDS", "--json"],
        ["explain", "*", "--records", "RECORDS"],
        ["expect", "--accept", "*", "--reason", HOSTILE, "--records", "RECORDS", "--expectations", "OUTPUT/e.toml"],
        ["expect", "--records", "RECORDS", "--expectations", "HEALTHY/expectations.toml"],
    ],
)
def test_no_command_lets_it_through(records: Path, tmp_path: Path, words: list[str]) -> None:
    healthy = tmp_path / "healthy"
    healthy.mkdir()
    (healthy / "a.jsonl").write_text(line("toy1-detect/b2/16x16/fp32@planted"))
    entry = f'case = {json.dumps(HOSTILE)}\nstatus = "wrong"\nstage = "compare"\nreason = {json.dumps(HOSTILE)}\n'
    (healthy / "expectations.toml").write_text("[[expect]]\n" + entry.replace("\x7f", "\\u007f"))
    places = {"RECORDS": records, "OUTPUT": tmp_path / "output", "HEALTHY": healthy}
    for name, path in places.items():
        words = [word.replace(name, str(path)) for word in words]
    done = CliRunner().invoke(app, words)
    assert done.exit_code in (0, 1), done.output
    assert not done.stderr, done.output
    written = [path.read_text() for path in (tmp_path / "output").glob("*")]
    for text in (done.output, *written):
        assert [c for c in text if not c.isprintable() and c not in "\n\t"] == []
    assert "red" in "".join((done.output, *written)) or words[0] == "expect" or words[1] == words[2]


def test_expectations_are_shown_so(tmp_path: Path) -> None:
    entry = f'case = "a"\nstatus = "wrong"\nstage = "compare"\nreason = {json.dumps(RED)}\n'
    (tmp_path / "e.toml").write_text(f"[[expect]]\n{entry}")
    assert read_expectations(tmp_path / "e.toml")["a"].why == "red"


class Halves(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.split([128, 128], 1)[1]  # type: ignore[no-any-return, no-untyped-call]


def named_badly() -> nn.Module:
    net = nn.Sequential(nn.Conv2d(3, 256, 1))
    net.add_module(RED, Halves())
    return net


def test_lint_shows_names_of_modules_so() -> None:
    (found, *_) = lint("test_text:named_badly", TraceSpec((2, 8, 8)), "inf2", "2.29.1")
    assert found.module.isprintable()
    assert "red" in found.module


def test_pytest_shows_the_words_of_a_compiler_so(suite: pytest.Pytester) -> None:
    result = run(suite, "--target", "toys:COLOURED", "--batch", "1", "-k", "test_model", "--color", "no")
    result.assert_outcomes(failed=1)
    said = result.stdout.str() + result.stderr.str()
    assert r"fatal: no such \u202eoperator" in said
    assert "\x1b" not in said
    assert "\u202e" not in said
