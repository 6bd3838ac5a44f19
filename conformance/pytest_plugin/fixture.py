"""The fixture for a person's own tests: `def test_detector(conformance): conformance.check(build(), inputs)`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from conformance.checking import api
from conformance.checking.report import Report
from conformance.core.errors import UserError
from conformance.pytest_plugin.options import given

if TYPE_CHECKING:
    from torch import nn


class Conformance:
    """Checks models for tests: on the targets of `--conformance-target`, with records in `--conformance-records`."""

    def __init__(self, config: pytest.Config) -> None:
        options = {"target": "target", "records": "records", "timeout": "case-timeout", "calls": "calls"}
        self._defaults = {name: given(config, option) for name, option in options.items()}

    def check(self, model: nn.Module | str, inputs: Any = None, **asked: Any) -> Report:
        """Fail the test unless a model is right on every target; takes what `conformance.check` takes. Skip it where
        nothing could be judged."""
        __tracebackhide__ = True
        try:
            report = api.check(model, inputs, **{**self._defaults, **asked})
        except UserError as error:
            pytest.fail(f"cannot be checked: {error}", pytrace=False)
        if not report.passed and not report.failures:
            pytest.skip(f"nothing could be judged: {report.headline}")
        if not report.passed:
            pytest.fail(f"{report.headline}\n{report}", pytrace=False)
        return report
