"""What is known of one architecture, a JSON line each; a run adds to the lines of those before it."""

from __future__ import annotations

import os
from collections.abc import Callable
from enum import Enum
from pathlib import Path

from pydantic import ValidationError

from conformance.cases.outcome import Recorded
from conformance.core.errors import UserError

SCHEMA = 1
# Of the places of a defect in an architecture, in the order of its graph.
PLACES = 3


class State(str, Enum):
    """How far an architecture came."""

    LINTED = "linted"
    NOT_EXPORTED = "not exported"
    NOT_BUILT = "cannot be built"
    TOO_LARGE = "too large"
    TIMEOUT = "timeout"
    CRASH = "crash"
    SUITE_ERROR = "error of the suite"


class Place(Recorded):
    """Where a defect strikes: the module's path, the operator, and the shape of what it is given."""

    module: str
    operator: str
    shape: tuple[int | str, ...]


class Struck(Recorded):
    """A known defect in an architecture: in which `columns`, `release/hardware`, in how many places, of which the
    first are listed, and the workarounds that help in them."""

    defect: str
    columns: tuple[str, ...]
    count: int
    places: tuple[Place, ...]
    workarounds: tuple[str, ...]


class Surveyed(Recorded):
    """One architecture. `columns` are those that were looked up, `why` it came no further than its `state`.

    `asked` is the resolution that was asked for, None for its own; `versions` are those of torch, of its package and
    of `revision`, the suite's. `nodes` is the size of its graph, `seconds` the time that it took.
    """

    source: str
    name: str
    state: State
    batch: int
    asked: str | None
    columns: tuple[str, ...]
    versions: dict[str, str]
    revision: str
    why: str | None = None
    resolution: str | None = None
    parameters: int | None = None
    nodes: int | None = None
    seconds: float = 0.0
    defects: tuple[Struck, ...] = ()
    record_schema: int = SCHEMA

    @property
    def id(self) -> str:
        """`timm:resnet50`."""
        return f"{self.source}:{self.name}"


class Lines:
    """The file of a survey."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self, tell: Callable[[str], None]) -> list[Surveyed]:
        """The last line of each architecture. One that cannot be read is told and set aside: it is made again."""
        found: dict[str, Surveyed] = {}
        lines = self.path.read_bytes().split(b"\n") if self.path.is_file() else []
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                one = Surveyed.model_validate_json(line)
            except ValidationError:
                tell(f"{self.path}:{number} is no line of a survey: set aside")
            else:
                found[one.id] = one
        return list(found.values())

    def add(self, one: Surveyed) -> None:
        """Append a line, which is on the disk when this returns. Raises UserError where it cannot be written."""
        line = one.model_dump_json().encode() + b"\n"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab+") as file:
                file.write(b"" if _ends_a_line(file.name) else b"\n")  # what a run that was killed left behind
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise UserError(f"cannot write {one.id} to {self.path}: {error.strerror}") from None


def _ends_a_line(path: str) -> bool:
    with Path(path).open("rb") as file:
        if file.seek(0, os.SEEK_END) == 0:
            return True
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
