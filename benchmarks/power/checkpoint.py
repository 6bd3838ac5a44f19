"""What is done of a run, a line a job: a run that was ended goes on, and one that goes on can be looked at."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.power.findings import Cell, Finding, Results


class Checkpoint:
    """A file of JSON lines, each with the digest of what its job depends on: of another one nothing is taken."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> dict[str, Results]:
        """The results by the digests of their jobs."""
        if not self.path.is_file():
            return {}
        lines = map(json.loads, self.path.read_text(encoding="utf-8").splitlines())
        return {line["key"]: _results(line) for line in lines}

    def write(self, key: str, job: str, results: Results) -> None:
        """Append one, and flush it."""
        line = {"key": key, "job": job, **asdict(results)}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def _results(line: dict[str, Any]) -> Results:
    findings = (Finding(**{**one, "caught": tuple(one["caught"])}) for one in line["findings"])
    cells = (Cell(**{**one, "shape": tuple(one["shape"]), "flagged": tuple(one["flagged"])}) for one in line["cells"])
    return Results(tuple(findings), tuple(cells))
