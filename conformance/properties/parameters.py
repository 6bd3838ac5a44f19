"""What the suite's property tests are run with. No torch and no hypothesis here: this is read at collection."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from conformance.cases.case import Case
from conformance.properties.accepted import Accepted, accepted_folder, read_accepted
from conformance.properties.places import place_id, places
from conformance.registry import load_target
from conformance.selection import Selection


@dataclass(frozen=True)
class Parameters:
    """Places to try programs at, accepted programs, and the folder these are in."""

    places: list[Case]
    accepted: list[Accepted]
    folder: Path

    def cases(self, selection: Selection) -> list[tuple[Accepted, Case]]:
        """Every accepted program at every place where it is known what becomes of it."""
        return [
            (accepted, place)
            for accepted in self.accepted
            for place in self.places
            if place.target in selection.absent
            or not accepted.unclear_at(place, load_target(selection.targets[place.target]))
        ]


def parameters(selection: Selection, named: bool, one_case: bool, folder: str | None) -> Parameters:
    """Those of a selection; `named` where the command line names the targets, none where it names `one_case`.
    Raises UserError for a broken file."""
    where = accepted_folder(folder)
    return Parameters([] if one_case else places(selection, named), read_accepted(where), where)


def case_id(accepted: Accepted, place: Case) -> str:
    """`openvino-pad-3f2a9c/openvino/fp32`."""
    return f"{accepted.name}/{place_id(place)}"
