"""What the tests of the machinery share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from suites import TOY

from conformance.properties.search import ScratchRunner
from conformance.running.worker import Worker

os.environ["YOLO_AUTOINSTALL"] = "false"  # whichever test imports ultralytics first


@pytest.fixture(autouse=True, scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache of our own: no test passes because of what an earlier run left behind."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONFORMANCE_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="module")
def scratch_runner() -> Iterator[ScratchRunner]:
    """Where programs are run, in a process of its own."""
    worker = Worker(threads=1, timeout=60)
    scratch_runner = ScratchRunner(worker)
    yield scratch_runner
    scratch_runner.close()
    worker.close()


@pytest.fixture(scope="module")
def planted_worker() -> Iterator[Worker]:
    """One whose child finds the network and the targets of `planted`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parent))
        found = Worker(1, 300)
        yield found
        found.close()


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A folder with a profile for the toy system, from which the suite is run."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    (pytester.path / "toy.toml").write_text(TOY)
    return pytester
