"""What is done of a run, a line a job: a run that was ended goes on, and one that goes on can be looked at."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.power.findings import Cell, Finding, Results
from conformance.core.errors import UserError


class Checkpoint:
    """A file of JSON lines. `key` is what the run was made with: of another run nothing is taken."""

    def __init__(self, path: Path, key: str) -> None:
        self.path = path
        self.key = key

    def read(self) -> dict[str, Results]:
        """The results by the names of their jobs. Raises UserError for the file of another run."""
        if not self.path.is_file():
            return {}
        lines = [json.loads(line) for line in self.path.read_text(encoding="utf-8").splitlines()]
        if any(line["key"] != self.key for line in lines):
            raise UserError(f"{self.path} is of another run: delete it, or name another with --parts")
        return {line["job"]: _results(line) for line in lines}

    def write(self, job: str, results: Results) -> None:
        """Append one, and flush it."""
        line = {"key": self.key, "job": job, **asdict(results)}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def _results(line: dict[str, Any]) -> Results:
    findings = (Finding(**{**one, "caught": tuple(one["caught"])}) for one in line["findings"])
    cells = (Cell(**{**one, "shape": tuple(one["shape"]), "flagged": tuple(one["flagged"])}) for one in line["cells"])
    return Results(tuple(findings), tuple(cells))
