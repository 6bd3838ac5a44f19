"""In the torch-xla environment: random programs find the split defect by themselves. `make test-xla`."""

from __future__ import annotations

import pytest
from hypothesis import settings

from conformance.cases.case import Column
from conformance.cases.outcome import Outcome
from conformance.properties.fuzz import fuzz
from conformance.properties.program import ProgramSpec
from conformance.properties.search import ScratchRunner, Search
from conformance.properties.setups import Setup
from conformance.targets.xla import Xla

pytestmark = pytest.mark.xla
XLA = Xla()
if XLA.missing():
    pytest.skip("needs the torch-xla environment", allow_module_level=True)

SETUP = Setup(Column("xla"), "float32")
PROFILE = settings(max_examples=200, deadline=None, database=None, derandomize=True, report_multiple_bugs=False)


class WithoutTheSplit(Search):
    """Knows every defect but one."""

    def known(self, program: ProgramSpec, outcome: Outcome) -> list[str]:
        return [name for name in super().known(program, outcome) if name != "split-with-sizes"]


@pytest.mark.slow
def test_the_split_defect_is_found_within_200_programs_by_one_who_does_not_know_it(
    scratch_runner: ScratchRunner,
) -> None:
    """And shrunk to nothing but the split."""
    search = WithoutTheSplit(scratch_runner, SETUP, XLA, "xla")
    found = fuzz(search, PROFILE)
    assert found is not None, search.tried
    program, outcome = found
    assert [step.operator for step in program.steps] == ["split"]
    assert outcome.defects == ["split-with-sizes"]


def test_nothing_else_is_found_by_one_who_knows_it(scratch_runner: ScratchRunner) -> None:
    search = Search(scratch_runner, SETUP, XLA, "xla")
    assert fuzz(search, PROFILE) is None, search.failed
    assert search.tried["known: split-with-sizes"] > 0
