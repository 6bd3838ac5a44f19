"""Running a case from a test: at most once a session, recorded whatever becomes of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest

from conformance.plugin import SELECTION
from conformance.results.records import RecordWriter
from conformance.running.bench import Bench
from conformance.running.worker import Worker


@pytest.fixture(scope="session")
def bench(pytestconfig: pytest.Config) -> Iterator[Bench]:
    """Where cases are run, one worker process of its own for every xdist worker."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    worker = Worker(threads=max(1, (os.cpu_count() or 1) // workers), timeout=pytestconfig.getoption("case_timeout"))
    folder = Path(pytestconfig.getoption("records") or pytestconfig.rootpath / "matrices" / "records")
    name = f"{datetime.now(timezone.utc):%Y%m%dT%H%M%S}-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}-{os.getpid()}"
    yield Bench(pytestconfig.stash[SELECTION], worker, RecordWriter(folder / f"{name}.jsonl"))
    worker.close()
