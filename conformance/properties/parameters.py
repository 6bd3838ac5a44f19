"""What the suite's property tests are run with. No torch and no hypothesis here: this is read at collection."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from conformance.properties.accepted import Accepted, accepted_folder, read_accepted
from conformance.properties.setups import Setup, setups
from conformance.selection.selection import Selection
from conformance.targets.loading import load_target


@dataclass(frozen=True)
class Parameters:
    """Setups to try programs in, accepted programs, and the folder these are in."""

    setups: list[Setup]
    accepted: list[Accepted]
    folder: Path

    def cases(self, selection: Selection) -> list[tuple[Accepted, Setup]]:
        """Every accepted program at every setup where it is known what becomes of it."""
        return [
            (accepted, setup)
            for accepted in self.accepted
            for setup in self.setups
            if setup.column.target in selection.absent
            or not accepted.unclear_at(setup, load_target(selection.targets[setup.column.target]))
        ]


def parameters(selection: Selection, named: bool, one_case: bool, folder: str | None) -> Parameters:
    """Those of a selection; `named` where the command line names the targets, none where it names `one_case`.
    Raises UserError for a broken file."""
    where = accepted_folder(folder)
    return Parameters([] if one_case else setups(selection, named), read_accepted(where), where)


def case_id(accepted: Accepted, setup: Setup) -> str:
    """`openvino-pad-3f2a9c/openvino/fp32`."""
    return f"{accepted.name}/{setup}"
