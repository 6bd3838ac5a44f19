"""Running a case from a test: at most once a session, recorded whatever becomes of it."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from conformance.cases.case import Case
from conformance.properties.search import ScratchRunner, Search
from conformance.properties.setups import Setup
from conformance.pytest_plugin.apply_expectation import failed, passed
from conformance.pytest_plugin.case_runner import CaseRunner
from conformance.pytest_plugin.one_model import model_worker, threads
from conformance.pytest_plugin.options import given
from conformance.pytest_plugin.suite_run import AXES, EXPECTED, PROPERTIES, SELECTION
from conformance.results.records import RecordWriter, records_file
from conformance.running.worker import Worker
from conformance.targets.loading import load_target


@pytest.fixture(scope="session")
def worker(pytestconfig: pytest.Config) -> Iterator[Worker]:
    """What runs everything, one for every xdist worker."""
    worker = model_worker(pytestconfig) or Worker(threads(), timeout=given(pytestconfig, "case-timeout"))
    yield worker
    worker.close()


@pytest.fixture(scope="session")
def case_runner(pytestconfig: pytest.Config, worker: Worker) -> CaseRunner:
    """Where cases are run."""
    folder = Path(given(pytestconfig, "records") or pytestconfig.rootpath / "matrices" / "records")
    writer = RecordWriter(records_file(folder, os.environ.get("PYTEST_XDIST_WORKER", "main")))
    return CaseRunner(pytestconfig.stash[SELECTION], worker, writer, given(pytestconfig, "calls"))


@pytest.fixture(scope="session")
def scratch_runner(worker: Worker) -> Iterator[ScratchRunner]:
    """Where programs are run that nobody needs to remember."""
    scratch_runner = ScratchRunner(worker)
    yield scratch_runner
    scratch_runner.close()


@pytest.fixture
def search(setup: Setup, scratch_runner: ScratchRunner, pytestconfig: pytest.Config) -> Search:
    """The search at a setup."""
    spec = pytestconfig.stash[SELECTION].targets[setup.column.target]
    accepted, known_fails = pytestconfig.stash[PROPERTIES].accepted, given(pytestconfig, "fail-known")
    return Search(scratch_runner, setup, load_target(spec), spec, accepted, known_fails)


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Iterator[None]:
    """What is expected of a case decides whether its test may fail, and may pass."""
    case = next((value for name, value in pyfuncitem.funcargs.items() if name in AXES), None)
    if not isinstance(case, Case):
        yield
        return
    case_runner = pyfuncitem.funcargs["case_runner"]
    assert isinstance(case_runner, CaseRunner)
    expectation, options = pyfuncitem.config.stash[EXPECTED].get(case.id), _options(pyfuncitem.config)
    failure = None
    try:
        yield
    except pytest.fail.Exception as error:
        if case_runner.found(case) is None:
            raise
        failure = str(error)
    if (record := case_runner.found(case)) is not None:
        if failure is None:
            passed(record, expectation, options)
        else:
            failed(record, failure, expectation, options)


def _options(config: pytest.Config) -> str:
    """Those of `conformance expect` that find the files of this run."""
    folders = ((name, given(config, name)) for name in ("records", "expectations"))
    return "".join(f" --{name} {shlex.quote(value)}" for name, value in folders if value)
