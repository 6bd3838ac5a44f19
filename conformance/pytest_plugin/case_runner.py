"""Runs cases for the tests."""

from __future__ import annotations

import pytest

from conformance.cases.case import Case
from conformance.cases.outcome import Record
from conformance.checking import case_runner
from conformance.core.errors import UserError


class CaseRunner(case_runner.CaseRunner):
    """A case that cannot be run fails its test."""

    def run(self, case: Case) -> Record:
        """The record of a case."""
        try:
            return super().run(case)
        except UserError as error:
            raise pytest.fail.Exception(f"cannot be run: {error}", pytrace=False) from None
