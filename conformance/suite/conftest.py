"""Running a case from a test: at most once a session, recorded whatever becomes of it."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest

from conformance.cases.case import Case
from conformance.plugin import AXES, EXPECTED, PROPERTIES, SELECTION
from conformance.properties.search import Lab, Search
from conformance.properties.setups import Setup
from conformance.registry import load_target
from conformance.results.records import RecordWriter
from conformance.running.bench import Bench
from conformance.running.worker import Worker
from conformance.suite.expecting import failed, passed


@pytest.fixture(scope="session")
def worker(pytestconfig: pytest.Config) -> Iterator[Worker]:
    """What runs everything, one for every xdist worker."""
    worker = Worker(_threads(), timeout=pytestconfig.getoption("case_timeout"))
    yield worker
    worker.close()


@pytest.fixture(scope="session")
def bench(pytestconfig: pytest.Config, worker: Worker) -> Bench:
    """Where cases are run."""
    folder = Path(pytestconfig.getoption("records") or pytestconfig.rootpath / "matrices" / "records")
    name = f"{datetime.now(timezone.utc):%Y%m%dT%H%M%S}-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}-{os.getpid()}"
    writer = RecordWriter(folder / f"{name}.jsonl")
    return Bench(pytestconfig.stash[SELECTION], worker, writer, pytestconfig.getoption("calls"))


@pytest.fixture(scope="session")
def lab(worker: Worker) -> Iterator[Lab]:
    """Where programs are run that nobody needs to remember."""
    lab = Lab(worker)
    yield lab
    lab.close()


@pytest.fixture
def search(setup: Setup, lab: Lab, pytestconfig: pytest.Config) -> Search:
    """The search at a setup."""
    spec = pytestconfig.stash[SELECTION].targets[setup.column.target]
    accepted, known_fails = pytestconfig.stash[PROPERTIES].accepted, pytestconfig.getoption("fail_known")
    return Search(lab, setup, load_target(spec), spec, accepted, known_fails)


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Iterator[None]:
    """What is expected of a case decides whether its test may fail, and may pass."""
    case = next((value for name, value in pyfuncitem.funcargs.items() if name in AXES), None)
    if not isinstance(case, Case):
        yield
        return
    bench = pyfuncitem.funcargs["bench"]
    assert isinstance(bench, Bench)
    expectation, options = pyfuncitem.config.stash[EXPECTED].get(case.id), _options(pyfuncitem.config)
    failure = None
    try:
        yield
    except pytest.fail.Exception as error:
        if bench.found(case) is None:
            raise
        failure = str(error)
    if (record := bench.found(case)) is not None:
        if failure is None:
            passed(record, expectation, options)
        else:
            failed(record, failure, expectation, options)


def _options(config: pytest.Config) -> str:
    """Those of `conformance expect` that find the files of this run."""
    given = ((name, config.getoption(name)) for name in ("records", "expectations"))
    return "".join(f" --{name} {shlex.quote(value)}" for name, value in given if value)


def _threads() -> int:
    """The cores of this host, shared by the xdist workers."""
    return max(1, (os.cpu_count() or 1) // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))
