"""What is accepted to fail: an expected failure is no failure; any other, a pass and an old one are."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import cast

import pytest
import toys
from suites import records
from suites import run as run_suite
from typer.testing import CliRunner

from conformance.cases.expectation import read_expectations
from conformance.cases.options import Justification
from conformance.cases.outcome import Status
from conformance.commands.cli import app
from conformance.core.errors import UserError
from conformance.results.accepting import accept, drop
from conformance.results.records import read_all
from conformance.selection.possible import require_possible
from conformance.systems.protocol import System

FILE = "matrices/expectations.toml"
CASE = "toy1-detect/b2/16x24/fp32@planted"
LINK = "https://example.org/1"
WRONG = ("--target", "toys:ZEROED_SCORES", "--batch", "2", "-k", "test_model")
STEM = ("--target", "toys:DROPPED_OPERATOR", "--batch", "2", "-k", "test_model")
ENTRY = f"""# Of our own.
[[expect]]
case = "{CASE}"
status = "wrong" # of the scores
stage = "compare"
link = "{LINK}"
"""

OTHER = """
[[expect]] # kept
case = "other@planted"
status = "crash"
stage = "run"
reason = "x"
"""


def run(suite: pytest.Pytester, *options: str) -> pytest.RunResult:
    return run_suite(suite, *(("--expectations", FILE) if (suite.path / FILE).is_file() else ()), *options)


def expect(suite: pytest.Pytester, text: str = ENTRY) -> Path:
    path = suite.path / FILE
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


def command(suite: pytest.Pytester, *options: str) -> Sequence[str]:
    words = ["expect", "--records", str(suite.path / "records"), "--expectations", str(suite.path / FILE), *options]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    return done.output.splitlines()


def test_failure_says_what_would_accept_it_and_then_is_expected(suite: pytest.Pytester) -> None:
    expect(suite, "# nothing yet\n")
    result = run(suite, *WRONG)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [f"*accept: conformance expect --accept {CASE} --link URL --records records --expectations *{FILE}"]
    )
    assert command(suite, "--accept", CASE, "--link", LINK) == [f"expected: {CASE} wrong in compare"]
    run(suite, *WRONG).assert_outcomes(xfailed=1)
    result = run(suite, *WRONG, "-rx")
    result.stdout.fnmatch_lines([f"XFAIL *{LINK}*"])


def test_another_failure_an_unexpected_pass_and_an_old_entry_are_red(suite: pytest.Pytester) -> None:
    expect(suite)
    result = run(suite, *STEM)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["another failure than is expected: wrong in compare, first in stem instead of wrong*"]
    )
    result = run(suite, "--batch", "2", "-k", "test_model")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [f"unexpected pass: wrong in compare is expected ({LINK})", f"*conformance expect --drop {CASE} --records *"]
    )
    expect(suite, ENTRY + f"until = {date.today() - timedelta(2)}\n")
    result = run(suite, *WRONG)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"*it was accepted until * ({LINK})", "*accept: conformance expect*"])
    expect(suite, ENTRY + f"until = {date.today() + timedelta(2)}\n")
    run(suite, *WRONG).assert_outcomes(xfailed=1)


def test_layer_that_is_bad_in_place_alone_can_be_expected(suite: pytest.Pytester) -> None:
    """The outputs are right, so that the model passes; only the test of its layers fails."""
    only = ("--target", "toys:ONLY_TAPPED", "--batch", "1", "-k", "test_model or test_in_place")
    run(suite, *only).assert_outcomes(passed=1, failed=1)
    case = CASE.replace("b2", "b1")
    assert command(suite, "--accept", case, "--reason", "fine") == [
        f"expected: {case} wrong in compare (in place), first in join"
    ]
    run(suite, *only).assert_outcomes(passed=1, xfailed=1)
    run(suite, "--batch", "1", "-k", "test_in_place").assert_outcomes(failed=1)


def test_defect_that_does_not_strike_where_it_is_known_to_can_be_expected(suite: pytest.Pytester) -> None:
    affected = ("--target", "claims:AFFECTED", "--case", "split-with-sizes:two-halves/b2/fp32@planted")
    run(suite, *affected).assert_outcomes(failed=1, skipped=6)
    (record,) = records(suite)
    with pytest.raises(UserError, match="has not failed"):
        accept(suite.path / FILE, read_all(suite.path / "records"), "split*", Justification(LINK))
    assert command(suite, "--accept", record.id, "--link", LINK) == [f"expected: {record.id} pass in compare"]
    run(suite, *affected).assert_outcomes(xfailed=1, skipped=6)


@pytest.mark.slow
def test_flaky_is_what_was_measured_and_may_pass(suite: pytest.Pytester) -> None:
    run(suite, *WRONG)
    run(suite, "--batch", "2", "-k", "test_model")
    run(suite, *WRONG)
    command(suite, "--accept", "toy1*", "--link", LINK)
    (entry,) = read_expectations(suite.path / FILE).values()
    assert entry.flaky is not None
    assert (entry.flaky.failed, entry.flaky.runs) == (2, 3)
    found = read_all(suite.path / "records")
    other = [r.model_copy(update={"environment": {"torch": "1"}}) if r.status is Status.PASS else r for r in found]
    (entry,) = accept(suite.path / "other.toml", other, CASE, Justification(LINK))
    assert entry.flaky is None, "what passed with other versions of the packages tells nothing"
    result = run(suite, *WRONG, "-rx")
    result.assert_outcomes(xfailed=1)
    result.stdout.fnmatch_lines([f"XFAIL*{LINK}; flaky, failed 2 of 3 runs*"])
    run(suite, "--batch", "2", "-k", "test_model").assert_outcomes(passed=1)
    run(suite, *STEM).assert_outcomes(failed=1)


def test_edit_keeps_comments_and_the_other_entries(suite: pytest.Pytester) -> None:
    run(suite, *STEM)
    path = expect(suite, ENTRY + OTHER)
    assert command(suite, "--accept", CASE, "--reason", "known", "--until", "2099-01-31")
    text = path.read_text()
    assert "# Of our own." in text
    assert 'status = "wrong" # of the scores' in text
    assert "# kept" in text
    found = read_expectations(path)
    assert list(found) == [CASE, "other@planted"]
    assert found[CASE].layer == "stem"
    assert found[CASE].link is None
    assert found[CASE].until == date(2099, 1, 31)
    drop(path, CASE)
    assert list(read_expectations(path)) == ["other@planted"]
    assert "# kept" in path.read_text()
    with pytest.raises(UserError, match="nothing is expected of 'othr@planted'; the nearest is 'other@planted'"):
        drop(path, "othr@planted")


def test_list_says_how_they_stand(suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    run(suite, *WRONG)
    run(suite, *STEM)
    expect(suite, ENTRY + ENTRY.replace("b2", "b1") + "until = 2020-01-01\n")
    monkeypatch.setenv("COLUMNS", "240")
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in command(suite) if CASE[:12] in line]
    assert rows == [
        [CASE, "wrong in compare", LINK, "-", "wrong in compare, first in stem", "1 of 2 runs"],
        [CASE.replace("b2", "b1"), "wrong in compare", LINK, "2020-01-01 (over)", "not run", "-"],
    ]


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("nonsense", "'nonsense' is no case id"),
        (CASE.replace("toy1-", "toi1-"), "unknown model 'toi1-detect'; did you mean 'toy1-detect'"),
        (CASE.replace("planted", "plantd"), "unknown target 'plantd'; did you mean 'planted'"),
        (CASE.replace("fp32", "fp32/stm"), "unknown layer of toy1-detect 'stm'; did you mean 'stem'"),
        (CASE + "/trn9", "unknown hardware of planted 'trn9'"),
        (CASE + "/cpu/sdk-2.29.1", "unknown SDK release of planted '2.29.1'"),
        (CASE + "+slize", "unknown workaround 'slize'; did you mean 'slice'"),
        ("split-with-sizes:two-halfs/b2/fp32@planted", "unknown minimal case of split-with-sizes 'two-halfs'"),
        ("split-with-size:two-halves/b2/fp32@planted", "unknown defect 'split-with-size'"),
    ],
)
def test_id_of_a_case_that_cannot_be(case: str, message: str) -> None:
    toy, target = cast(System, toys.Toy()), toys.HEALTHY  # whether it takes weights is not asked
    require_possible(CASE, {"toy": toy}, {"planted": target})
    with pytest.raises(UserError, match=message):
        require_possible(case, {"toy": toy}, {"planted": target})


def test_id_that_matches_nothing_is_an_error(suite: pytest.Pytester) -> None:
    expect(suite, ENTRY.replace("toy1-", "toi1-"))
    result = run(suite)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: *{FILE}: toi1-*: unknown model 'toi1-detect'; did you mean 'toy1-detect'*"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (ENTRY.replace(f'link = "{LINK}"', ""), "expect.0: say why it is accepted: link or reason"),
        (ENTRY.replace("wrong", "wrnog"), "expect.0.status: Input should be"),
        (ENTRY + ENTRY, f"two entries for '{CASE}': keep one"),
        (ENTRY + "flaky = { failed = 1, runs = 1 }\n", "expect.0.flaky.runs: Input should be greater than 1"),
    ],
)
def test_bad_file_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "expectations.toml"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        read_expectations(path)


def test_bad_command_is_one_line_and_writes_nothing(suite: pytest.Pytester) -> None:
    run(suite, "--batch", "2", "-k", "test_model")
    words = ["expect", "--records", str(suite.path / "records"), "--expectations", str(suite.path / FILE)]
    for options, message in (
        (["--accept", CASE], "say why it is accepted: --link URL or --reason TEXT"),
        (["--accept", "toi*", "--link", LINK], f"no record of 'toi*'; the nearest is '{CASE}'"),
        (["--accept", CASE, "--link", LINK, "--until", "soon"], "--until 'soon' is no date such as 2027-03-01"),
        (["--accept", CASE, "--link", LINK], f"{CASE} has not failed: there is nothing to accept"),
        (["--drop", CASE], f"nothing is expected of '{CASE}'"),
    ):
        done = CliRunner().invoke(app, [*words, *options])
        assert done.exit_code == 2
        assert done.output.strip() == f"error: {message}"
        assert not (suite.path / FILE).exists()


def test_file_that_is_named_and_is_not_there_is_an_error(suite: pytest.Pytester) -> None:
    result = run(suite, "--expectations", "absent.toml")
    result.stderr.fnmatch_lines(["ERROR: there is no file absent.toml; `conformance expect --accept` makes one"])
