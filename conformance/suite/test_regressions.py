"""Every minimal case of every known defect: it fails where the defect is expected, and passes everywhere else.

Strict both ways. A defect that is gone, another failure than the known one, a workaround that does not work:
each is red.
"""

from __future__ import annotations

from conformance.cases.case import Case
from conformance.defects.catalogue import known_defect
from conformance.defects.minimal import MinimalCases
from conformance.pytest_plugin.assertions import require_failure, require_pass
from conformance.pytest_plugin.case_runner import CaseRunner


def test_minimal(minimal_case: Case, case_runner: CaseRunner) -> None:
    """The minimal case fails as it is known to, or passes: without the defect, or with a workaround."""
    defect = known_defect(minimal_case.subject.system)
    record = case_runner.run(minimal_case)
    packages = case_runner.target(minimal_case).packages(minimal_case.column.hardware, minimal_case.column.sdk)
    if minimal_case.column.workarounds or not defect.affects(
        packages, (), minimal_case.column.hardware, minimal_case.subject.dtype
    ):
        if not set(record.defects) - {defect.id}:  # another one that is known may be triggered in the same program
            require_pass(record)
        return
    expected = MinimalCases(defect).minimal(minimal_case.subject.variant)
    require_failure(record, defect, expected)
