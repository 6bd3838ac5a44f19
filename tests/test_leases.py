"""NeuronCores go to one process at a time, and never to more than there are."""

from __future__ import annotations

from pathlib import Path

import pytest
import toys

from conformance.cases.case import Column
from conformance.core.errors import UserError
from conformance.host.cores import Cores
from conformance.running.leases import Leases


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("conformance.running.leases.PATIENCE", 0.0)


class OnCores:
    """A target that needs as many cores as its settings say."""

    variables = {"A": "1"}

    def cores(self, settings: tuple[str, ...]) -> int:
        return int(settings[0])

    def process(self, settings: tuple[str, ...]) -> dict[str, str]:
        return {"B": settings[0]}


def leases(folder: Path, *indices: int, trouble: str | None = None) -> Leases:
    return Leases(lambda: Cores("trn2", indices, 2, trouble), folder)


def visible(of: Leases, count: int) -> str | None:
    column = Column("planted", settings=(str(count),))
    return of.process(OnCores(), column).get("NEURON_RT_VISIBLE_CORES")  # type: ignore[arg-type]


def test_two_processes_have_different_cores_and_give_them_back(tmp_path: Path) -> None:
    first, second = leases(tmp_path, 2, 3), leases(tmp_path, 2, 3)
    assert (visible(first, 1), visible(second, 1)) == ("2", "3")
    assert visible(first, 1) == "2", "kept for the next case"
    with pytest.raises(UserError, match=r"no core is free of the 2 that are visible: run fewer workers \(-n\)"):
        visible(leases(tmp_path, 2, 3), 1)
    first.release()
    assert visible(leases(tmp_path, 2, 3), 1) == "2"


def test_core_that_is_given_back_meanwhile_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = leases(tmp_path, 0), leases(tmp_path, 0)
    visible(first, 1)
    monkeypatch.setattr("conformance.running.leases.PATIENCE", 30.0)
    monkeypatch.setattr("time.sleep", lambda _: first.release())
    assert visible(second, 1) == "0"


def test_processes_that_hold_cores_are_ended_before_these_are_given_back(tmp_path: Path) -> None:
    still_held: list[bool] = []
    mine = Leases(lambda: Cores("trn2", (0, 1), 2), tmp_path, lambda: still_held.append(bool(mine._held)))
    visible(mine, 1)
    visible(mine, 2)
    mine.release()
    mine.release()
    assert still_held == [True, True]


class OnOtherCores(OnCores):
    """One core for each case, of as many physical ones as its setting says."""

    def cores(self, settings: tuple[str, ...]) -> int:
        return 1

    def process(self, settings: tuple[str, ...]) -> dict[str, str]:
        return {"NEURON_LOGICAL_NC_CONFIG": settings[0]}


@pytest.mark.parametrize(("first", "second", "expected"), [("2", "1", ("0", "2")), ("1", "2", ("0", "1"))])
def test_cases_of_other_logical_cores_get_other_physical_ones(
    tmp_path: Path, first: str, second: str, expected: tuple[str, str]
) -> None:
    """The runtime counts by the logical cores of its own process: core 2 of one physical core each is the first half
    of core 1 of two."""
    found = [
        leases.process(OnOtherCores(), Column("planted", settings=(lnc,)))["NEURON_RT_VISIBLE_CORES"]  # type: ignore[arg-type]
        for leases, lnc in ((leases(tmp_path, 0, 1), first), (leases(tmp_path, 0, 1), second))
    ]
    assert tuple(found) == expected


def test_another_user_takes_part(tmp_path: Path) -> None:
    visible(leases(tmp_path / "locks", 0), 1)
    made = [tmp_path / "locks", *(tmp_path / "locks").iterdir()]
    assert [path.stat().st_mode & 0o777 for path in made] == [0o777, 0o666, 0o666]


def test_several_cores_are_neighbours(tmp_path: Path) -> None:
    other = leases(tmp_path, 0, 1, 2, 3)
    assert visible(other, 1) == "0"
    mine = leases(tmp_path, 0, 1, 2, 3)
    assert visible(mine, 1) == "1"
    assert visible(mine, 2) == "1-2", "its own is given back first"
    with pytest.raises(UserError, match="no 2 neighbouring cores are free of the 2"):
        visible(leases(tmp_path, 4, 6), 2)


def test_case_without_cores_has_its_variables_and_asks_nobody(tmp_path: Path) -> None:
    column = Column("planted", settings=("0",), workarounds=("functionalization",))
    found = leases(tmp_path).process(OnCores(), column)  # type: ignore[arg-type]
    assert found == {"A": "1", "B": "0", "XLA_DISABLE_FUNCTIONALIZATION": "0"}
    assert leases(tmp_path).process(toys.HEALTHY, toys.CASE.column) == dict(toys.HEALTHY.variables)


def test_host_without_cores_says_why(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="a NeuronCore is needed: no driver; --compile-only needs none"):
        visible(leases(tmp_path, trouble="no driver"), 1)
