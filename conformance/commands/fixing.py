"""What to write where something is known to go wrong: a patch of the source line, or the call that helps instead."""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from conformance.commands.respelling import respelled
from conformance.core.text import one_line
from conformance.programs.workarounds import WORKAROUNDS, switch

_RESPELLED = "tensor_split"  # the workaround that a patch writes out


@dataclass(frozen=True)
class Place:
    """Where a defect is triggered, `model.py:40` or the path of a module, the workarounds that help there, and what
    was reported of it."""

    where: str
    defect: str
    workarounds: tuple[str, ...]
    link: str

    @property
    def line(self) -> tuple[Path, int] | None:
        """The file and the number of the line, where it is one."""
        path, colon, number = self.where.rpartition(":")
        return (Path(path), int(number)) if colon and number.isdigit() and Path(path).is_file() else None


def fixes(places: Iterable[Place]) -> Iterator[str]:
    """Lines of text: for each place that no patch mends what to write there, then a patch for each file."""
    places = list(dict.fromkeys(places))
    by_file: dict[Path, list[int]] = defaultdict(list)
    for place in places:
        if place.line is not None and _RESPELLED in place.workarounds:
            by_file[place.line[0]].append(place.line[1])
    made = {path: respelled(path.read_bytes(), lines) for path, lines in by_file.items()}
    mended = {(path, line) for path, (_, done) in made.items() for line in done}
    left = [place for place in places if place.line not in mended or _RESPELLED not in place.workarounds]
    yield from dict.fromkeys(map(_said, left))
    for path, (source, done) in made.items():
        if done:
            yield from _patch(path, source)


def _said(place: Place) -> str:
    """One line for a place without a patch."""
    in_program = next((name for name in place.workarounds if WORKAROUNDS[name].in_program), None)
    outside = next(iter(place.workarounds), None)
    if in_program is not None:
        instead = f'conformance.apply_workarounds(module, "{in_program}")'
    elif outside is not None:
        instead = f"set {switch(outside)}"
    else:
        instead = f"no workaround is code, see {place.link}"
    return one_line(f"{place.where}: {place.defect}: {instead}")


def _patch(path: Path, source: bytes) -> Iterator[str]:
    """A unified diff, as `patch -p0` and `git apply -p0` read it."""
    before, after = (text.decode().splitlines(keepends=True) for text in (path.read_bytes(), source))
    name = one_line(str(path))
    for line in difflib.unified_diff(before, after, name, name):
        yield line.rstrip("\n")
