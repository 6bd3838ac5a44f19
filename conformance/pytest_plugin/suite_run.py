"""A run of the suite: its cases, what is expected of them, how they are spread over workers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from conformance.cases import options
from conformance.cases.case import Case
from conformance.cases.expectation import FILE, Expectation, read_expectations
from conformance.commands.exits import described
from conformance.core.errors import UserError
from conformance.properties.parameters import Parameters, case_id, parameters
from conformance.pytest_plugin import one_model
from conformance.pytest_plugin.one_model import model_selection
from conformance.pytest_plugin.options import SUITE, given, keep, request_of
from conformance.pytest_plugin.scheduling import ModelScheduling
from conformance.selection.possible import require_possible
from conformance.selection.select import select
from conformance.selection.selection import Selection
from conformance.systems.loading import load_system, system_names
from conformance.targets.loading import load_target, target_names

EXPECTED: pytest.StashKey[dict[str, Expectation]] = pytest.StashKey()
SELECTION: pytest.StashKey[Selection] = pytest.StashKey()
PROPERTIES: pytest.StashKey[Parameters] = pytest.StashKey()
WHY: pytest.StashKey[options.Justification] = pytest.StashKey()

# Fixture that a test asks for -> the cases it is run with.
AXES = {"model_case": "models", "layer_case": "layers", "minimal_case": "minimal", "detection_case": "detections"}


def pytest_configure(config: pytest.Config) -> None:
    """Expand the cases before anything is collected: bad input is one line."""
    os.environ.setdefault("TORCH_DEVICE_BACKEND_AUTOLOAD", "0")  # an accelerator is for the child processes
    try:
        keep(config, "case-timeout", options.seconds("--case-timeout", given(config, "case-timeout")))
        keep(config, "calls", options.calls("--calls", given(config, "calls")))
        if named := config.getoption("--hypothesis-profile", None):
            from conformance.properties.profiles import chosen_profile  # hypothesis takes a moment to load

            chosen_profile(named)
        _require_folders(config)
        accepts, link, reason = (given(config, name) for name in ("accept", "link", "reason"))
        options.only_with("--accept", accepts, link=link is not None, reason=reason is not None)
        config.stash[WHY] = options.why(link, reason, needed=accepts)
        of_one = given(config, "model") is not None
        config.stash[SELECTION] = selection = model_selection(config) if of_one else select(request_of(config))
        named, one_case = (given(config, option) is not None for option in ("target", "case"))
        config.stash[PROPERTIES] = parameters(selection, named, one_case, given(config, "programs"))
        config.stash[EXPECTED] = _expected(config, selection)
        config.pluginmanager.register(one_model, "conformance-one-model")
    except Exception as error:  # noqa: BLE001 (also of anyone's own target or system)
        raise pytest.UsageError(described(error)[1]) from None


def _require_folders(config: pytest.Config) -> None:
    """Raises UserError where a folder that is named is none, or cannot be written to."""
    for name, written in (("records", True), ("programs", given(config, "accept"))):
        if (folder := options.given(f"--{name}", given(config, name))) is not None:
            options.folder(f"--{name}", Path(folder), written)


def _expected(config: pytest.Config, selection: Selection) -> dict[str, Expectation]:
    """What is accepted to fail, by id. Raises UserError, also for the id of a case that cannot be."""
    file = options.given("--expectations", given(config, "expectations"))
    if file and not Path(file).is_file():
        raise UserError(f"there is no file {file}; `conformance expect --accept` makes one")
    path = Path(file) if file else config.rootpath / FILE
    if expected := read_expectations(path):
        systems = {s.name: s for s in map(load_system, [*system_names(), *selection.systems.values()])}
        targets = {t.name: t for t in map(load_target, [*target_names(), *selection.targets.values()])}
        for id_ in expected:
            try:
                require_possible(id_, systems, targets)
            except UserError as error:
                raise UserError(f"{path}: {id_}: {error}") from None
    return expected


def pytest_report_header(config: pytest.Config) -> str | None:
    """What is about to run."""
    selection = config.stash[SELECTION]
    what = selection.model.source if selection.model else f"profile {selection.profile}"
    return f"conformance: {what} on {', '.join(selection.targets)}: {selection.counts}"


@pytest.hookimpl(tryfirst=True)  # before the terminal says how it ended
def pytest_sessionfinish(session: pytest.Session) -> None:
    """A run in which every test was skipped has judged nothing, and is no success: exit code 5, as of one without
    tests."""
    terminal = session.config.pluginmanager.get_plugin("terminalreporter")
    if terminal is None or session.exitstatus != pytest.ExitCode.OK:
        return
    if terminal.stats.get("skipped") and not any(map(terminal.stats.get, ("passed", "xfailed", "xpassed"))):
        session.exitstatus = pytest.ExitCode.NO_TESTS_COLLECTED
        terminal.write_line("conformance: nothing was judged, every test was skipped: -rs says why", red=True)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every case that a suite test asks for, under its id; those that cannot be run here are skipped with why."""
    if not Path(metafunc.module.__file__).is_relative_to(SUITE):
        return
    if "setup" in metafunc.fixturenames:
        _generate_property_tests(metafunc)
    axis = next((name for name in AXES if name in metafunc.fixturenames), None)
    if axis is None:
        return
    selection = metafunc.config.stash[SELECTION]
    cases: list[Case] = getattr(selection, AXES[axis])
    values = [_parameter(selection.why_not(case), case) for case in cases] if selection.absent else cases
    metafunc.parametrize(axis, values, ids=[case.id for case in cases], scope="session")


def _generate_property_tests(metafunc: pytest.Metafunc) -> None:
    selection, given = metafunc.config.stash[SELECTION], metafunc.config.stash[PROPERTIES]
    if "accepted" in metafunc.fixturenames:
        cases = given.cases(selection)
        pairs = [_parameter(selection.why_no_column(setup.column), accepted, setup) for accepted, setup in cases]
        metafunc.parametrize(("accepted", "setup"), pairs, ids=[case_id(*case) for case in cases])
    else:
        values = [_parameter(selection.why_no_column(setup.column), setup) for setup in given.setups]
        metafunc.parametrize("setup", values, ids=[str(setup) for setup in given.setups])


def _parameter(reason: str | None, *values: Any) -> Any:
    """The parameters of a test, which is skipped where there is a reason."""
    return pytest.param(*values, marks=[pytest.mark.skip(reason=reason)] if reason else [])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With -n, the cases of one model go to one worker, where it is built and captured once."""
    if config.getoption("dist") != "load":
        return None
    return ModelScheduling(config, log)
