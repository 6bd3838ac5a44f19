"""`--model`: the suite over one model, whatever it is, and nothing else."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import pytest

from conformance.cases import options
from conformance.checking.check import prepared
from conformance.core.errors import UserError
from conformance.pytest_plugin.options import chosen_of, given
from conformance.running.worker import Worker
from conformance.selection.model import ModelRequest, find_model
from conformance.selection.selection import Selection
from conformance.systems.loading import load_system
from conformance.systems.user_model import UserModel

# What a process that pytest-xdist starts is told: what the model's system is loaded by.
_TOLD = "conformance_model"
# What says which model, so that nothing beside it can.
_IN_MODEL = ("profile", "system", "variant", "task")
_WORKER: pytest.StashKey[Worker] = pytest.StashKey()
_MODEL: pytest.StashKey[str] = pytest.StashKey()


def model_selection(config: pytest.Config) -> Selection:
    """The cases of the model that the command line names, which is built to know what it has: once, however many
    processes there are. Raises UserError."""
    request = _request(config)
    told = getattr(config, "workerinput", {}).get(_TOLD)
    if told is not None:
        request = replace(request, model=replace(request.model, system=told))
        if isinstance(found := load_system(told), UserModel):
            request = replace(request, model=replace(request.model, spec=found.spec))
    config.stash[_WORKER] = worker = Worker(threads(), timeout=given(config, "case-timeout"))
    config.add_cleanup(worker.close)
    selection = prepared(request, worker, built=told is not None)
    if config.getoption("dist", "no") != "no" and told is None:
        worker.kill()  # the processes of pytest-xdist run the cases
    (config.stash[_MODEL],) = selection.systems.values()
    return selection


def model_worker(config: pytest.Config) -> Worker | None:
    """What the model was built in, and is run in."""
    return config.stash.get(_WORKER, None)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a process of pytest-xdist what is known of the model."""
    if (told := node.config.stash.get(_MODEL, None)) is not None:
        node.workerinput[_TOLD] = told


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests that a model has no cases for are no tests of it."""
    if _MODEL not in config.stash:
        return
    without = [item for item in items if item.name.endswith("[NOTSET]")]
    config.hook.pytest_deselected(items=without)
    items[:] = [item for item in items if item not in without]


def _request(config: pytest.Config) -> ModelRequest:
    def read(name: str) -> Any:
        return given(config, name)

    if option := next((name for name in _IN_MODEL if read(name)), None):
        raise UserError(f"--model says which model: leave out --{option}")
    if read("calibrate") and read("no-calibrate"):
        raise UserError("--calibrate and --no-calibrate exclude one another: give one of them")
    depth = options.whole("--depth", read("depth"))
    model = find_model(
        str(options.given("--model", read("model"))),
        layers=tuple(options.names("--layers", read("layers")) or ()),
        depth=depth,
        groups=options.groups("--groups", read("groups")),
        calibrate=True if read("calibrate") else False if read("no-calibrate") else None,
        pictures=options.given("--images", read("images")),
    )
    targets = options.names("--target", read("target"))
    case = options.given("--case", read("case"))
    return ModelRequest(model, targets, chosen_of(config), read("isolated"), case, read("images"))


def threads() -> int:
    """The cores of this host, shared by the xdist workers."""
    return max(1, (os.cpu_count() or 1) // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))
