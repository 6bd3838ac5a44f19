"""The suite as its users run it: plain pytest, in a process of its own, with targets that are wrong on purpose."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path

import pytest
from suites import CASES, MINIMAL, ROOT, SUITE, TOY, records, run

from conformance.cases.case import Subject
from conformance.cases.outcome import Record
from conformance.pytest_plugin.options import reaches_suite
from conformance.results.records import read_records


def test_healthy_target_is_green_and_every_case_is_recorded(suite: pytest.Pytester) -> None:
    result = run(suite)
    result.assert_outcomes(passed=2 * 2 + 4 + MINIMAL + 1, skipped=2)  # no trained weights, no accepted program
    found = records(suite)
    assert len(found) == len({r.id for r in found}) == 2 + 4 + MINIMAL
    commands = {r.id: r.command for r in found}
    name = "toy1-detect/b2/16x24/fp32@planted"
    assert commands[name] == f"pytest conformance --case {name} --profile toy.toml --target toys:HEALTHY"
    assert all(r.started <= r.finished and not r.emulated and r.column.target == "planted" for r in found)


def test_two_workers_share_the_cases_by_model(suite: pytest.Pytester) -> None:
    result = run(suite, "-n", "2")
    result.assert_outcomes(passed=2 * 2 + 4 + MINIMAL + 1, skipped=2)  # no trained weights, no accepted program
    files = list((suite.path / "records").glob("*.jsonl"))
    seen: dict[Subject, set[str]] = defaultdict(set)
    for file in files:
        for line in file.read_text().splitlines():
            seen[Record.model_validate_json(line).subject].add(file.name)
    assert len(files) == 2
    assert len(seen) == 2 + len(CASES)
    assert all(len(names) == 1 for names in seen.values())


def test_crash_and_hang_are_outcomes_and_the_run_goes_on(suite: pytest.Pytester) -> None:
    targets = "toys:CRASHES,toys:HANGS,toys:HEALTHY_TWIN"
    result = run(suite, "--target", targets, "--batch", "1", "--case-timeout", "6", "-k", "test_model")
    result.assert_outcomes(passed=1, failed=2)
    assert Counter(r.status.value for r in records(suite)) == {"crash": 1, "timeout": 1, "pass": 1}
    assert all({"torch", "numpy", "neuron-conformance"} <= set(r.environment) for r in records(suite))


def test_failure_says_what_where_and_how_to_see_it_again(suite: pytest.Pytester) -> None:
    result = run(suite, "--target", "toys:DROPPED_OPERATOR", "--batch", "2", "-k", "test_model")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "wrong in compare",
            "*boxes*error ratio*per image:*,*cosine*",
            "*scores*",
            "*first bad layer: stem (Sequential)*",
            "*again: pytest conformance --case toy1-detect/b2/16x24/fp32@planted*",
        ]
    )
    assert "Traceback" not in result.stdout.str()


def test_in_place_layer_is_red_on_its_own(suite: pytest.Pytester) -> None:
    result = run(suite, "--target", "toys:ONLY_TAPPED", "--batch", "1", "-k", "test_model or test_in_place")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*1 of 4 layers are wrong*", "*join (Conv2d)*"])


def test_command_of_a_record_runs_that_one_case(suite: pytest.Pytester) -> None:
    run(suite, "--target", "toys:ZEROED_SCORES", "--batch", "2", "-k", "test_model")
    (record,) = records(suite)
    words = record.command.split()
    assert words[:2] == ["pytest", "conformance"]
    again = suite.runpytest_subprocess(SUITE, *words[2:], "--records", "again", "-q", "-k", "test_model")
    again.assert_outcomes(failed=1)
    (same,) = read_records(suite.path / "again")
    assert same.id == record.id
    assert same.groups == record.groups


def test_node_ids_and_k_select(suite: pytest.Pytester) -> None:
    node = f"{SUITE}/suite/test_models.py::test_model[toy1-detect/b2/16x24/fp32@planted]"
    result = suite.runpytest_subprocess(node, "--profile", "toy.toml", "--records", "records", "-q")
    result.assert_outcomes(passed=1)
    run(suite, "-k", "halves and isolated").assert_outcomes(passed=1)


def test_regressions_are_strict(suite: pytest.Pytester) -> None:
    """A healthy target that claims a torch-xla of the affected range is an unexpected pass, and red."""
    result = run(suite, "--target", "claims:AFFECTED", "-k", "test_minimal")
    result.assert_outcomes(failed=19, passed=MINIMAL - 19)
    result.stdout.fnmatch_lines_random(
        ["*unexpected pass: split-with-sizes*", "*unexpected pass: resize-scale-factor*"]
    )
    result = run(suite, "--target", "claims:WRONG_EVERYWHERE", "-k", "two-halves and not slice")
    result.stdout.fnmatch_lines(["*other images are wrong than those known to be: (0, 1) instead of (1,)*"])
    result = run(suite, "--target", "claims:ANOTHER_FAILURE", "-k", "topk")
    result.stdout.fnmatch_lines(
        ["another failure than the known one: error in run (RuntimeError) instead of error in compile (NCC_*"]
    )


def test_missing_package_of_a_profile_is_a_skip_that_says_what_to_install(suite: pytest.Pytester) -> None:
    (suite.path / "toy.toml").write_text(TOY.replace("toys:HEALTHY", "toys:ABSENTEE"))
    result = run(suite, "-rs")
    result.assert_outcomes(skipped=2 * 2 + 4 + MINIMAL + 3)
    result.stdout.fnmatch_lines(["SKIPPED*absentee needs nothing_of_the_kind: pip install*"])
    assert not (suite.path / "records").exists()


def test_header_says_what_is_about_to_run(suite: pytest.Pytester) -> None:
    result = suite.runpytest_subprocess(SUITE, "--profile", "toy.toml", "--collect-only")
    result.stdout.fnmatch_lines(
        [f"conformance: profile toy.toml on planted: 2 models, 4 isolated layers, {MINIMAL} minimal *"]
    )


def test_missing_system_is_a_skip_and_an_error_where_it_is_named(suite: pytest.Pytester) -> None:
    (suite.path / "toy.toml").write_text(TOY.replace("toys:Toy", "toys:Absent"))
    run(suite, "-k", "test_model").assert_outcomes(skipped=2)
    result = run(suite, "--system", "toys:Absent")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: absent needs nothing_of_the_kind: pip install *"])


@pytest.mark.parametrize(
    ("path", "reaches"),
    [
        (SUITE, True),
        (str(ROOT), True),
        (f"{SUITE}/suite/test_models.py::test_model", True),
        ("conformance", True),  # pytest --pyargs
        ("conformance.suite.test_models", True),
        (str(ROOT.parent), False),  # as the folder of an environment that it is installed in
        ("tests", False),
        ("conformances", False),
    ],
)
def test_only_a_run_of_the_suite_is_ours(path: str, reaches: bool, tmp_path: Path) -> None:
    assert reaches_suite([path], tmp_path) is reaches


def test_help_names_the_options(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_subprocess("--help")
    result.stdout.fnmatch_lines(
        [
            "*conformance: is a compiled vision model right?*",
            "*--conformance-profile=NAME*",
            "*--conformance-target=NAMES*",
        ]
    )


def test_one_case_is_run_alone(suite: pytest.Pytester) -> None:
    result = run(suite, "--target", "toys:HEALTHY", "--case", "split-with-sizes:two-halves/b2/fp32@planted")
    assert result.parseoutcomes()["passed"] == 1, "no random programs beside it"


def test_run_in_which_everything_is_skipped_is_no_success(suite: pytest.Pytester) -> None:
    (suite.path / "toy.toml").write_text(TOY.replace("toys:HEALTHY", "toys:ABSENTEE"))
    for options in ((), ("-n", "2")):
        result = run(suite, "-k", "test_model", *options)
        result.assert_outcomes(skipped=2)
        assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
        result.stdout.fnmatch_lines(["*conformance: nothing was judged, every test was skipped: -rs says why*"])
    (suite.path / "toy.toml").write_text(TOY)
    assert run(suite, "-k", "test_model or test_detections").ret == pytest.ExitCode.OK, "some were not"
