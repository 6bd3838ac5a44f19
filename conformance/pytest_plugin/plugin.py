"""The pytest face. Everybody's run loads this and `options`; what a run of the suite needs is in `suite_run`."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest

from conformance.pytest_plugin.options import add, lengthened, reaches_suite


def pytest_addoption(parser: pytest.Parser) -> None:
    """The suite's options."""
    add(parser)


def pytest_load_initial_conftests(early_config: pytest.Config, args: list[str]) -> None:
    """Where the suite is collected, its options may be called by their short names."""
    paths = early_config.known_args_namespace.file_or_dir
    if reaches_suite(paths or [""], early_config.invocation_params.dir):
        args[:] = lengthened(args)


@pytest.fixture(name="conformance", scope="session")
def _conformance(pytestconfig: pytest.Config) -> Any:
    """Checks models of one's own: `conformance.check(module, inputs)` fails the test unless it is right."""
    return import_module("conformance.pytest_plugin.fixture").Conformance(pytestconfig)


@pytest.hookimpl(tryfirst=True)  # hypothesis loads the profile that is named when it is configured itself
def pytest_configure(config: pytest.Config) -> None:
    """Begin a run of the suite, where it is collected."""
    if reaches_suite(config.args, config.invocation_params.dir):
        config.pluginmanager.import_plugin("conformance.pytest_plugin.suite_run")
