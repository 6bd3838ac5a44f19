"""The run as `power.json`: at the top float32, whose goals are the strictest; every dtype in the same form below."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any

from benchmarks.power.findings import MAIN, Finding, Results
from benchmarks.power.gates import GATES, measured
from benchmarks.power.tally import benign, by_kind, caught, escaped, goals, nearest, reason, tally

_RATIOS = ("ratio", "ratio_alone")


@dataclass(frozen=True)
class About:
    """What a run was made with."""

    versions: str
    seed: int
    command: str


def as_json(results: Results, about: About) -> str:
    """`gates`, `faults` and what belongs to them; under `dtypes` the same for every dtype that was run."""
    by_dtype = {dtype: _of(results.of(dtype), dtype) for dtype in results.dtypes}
    top = by_dtype.get(MAIN) or next(iter(by_dtype.values()), _of(Results(), MAIN))
    return json.dumps({**top, "dtypes": by_dtype, "about": asdict(about)}, indent=2) + "\n"


def _of(results: Results, dtype: str) -> dict[str, Any]:
    names = [gate.name for gate in measured()]
    return {
        "dtype": dtype,
        "gates": {gate.name: _gate(results, gate.name, gate.missing()) for gate in GATES},
        "faults": _rates(results, names, apart=False),
        "apart": _rates(results, names, apart=True),
        "planted": {kind: len(found) for kind, found in by_kind(results).items()},
        "benign": dict(benign(results)),
        "goals": [asdict(goal) for goal in goals(results, dtype)],
        "nearest": _fault(near) if (near := nearest(results)) is not None else None,
        "escaped": [_fault(finding) | {"reason": reason(finding)} for finding in escaped(results)],
        "cells": [asdict(cell) | {name: _number(getattr(cell, name)) for name in _RATIOS} for cell in results.cells],
    }


def _gate(results: Results, name: str, missing: str | None) -> dict[str, Any]:
    """The sums of a gate; of one that is not here, nothing but why."""
    if missing is None:
        return asdict(tally(results, name))
    return dict.fromkeys(asdict(tally(Results(), name))) | {"not_measured": missing}


def _rates(results: Results, gates: list[str], apart: bool) -> dict[str, dict[str, float]]:
    return {
        kind: {gate: caught(found, gate) / len(found) for gate in gates}
        for kind, found in by_kind(results, apart).items()
    }


def _fault(finding: Finding) -> dict[str, Any]:
    names = ("kind", "system", "layer", "site", "detail", "changes_detections", "hidden")
    return {name: getattr(finding, name) for name in names} | {
        name: _number(getattr(finding, name)) for name in _RATIOS
    }


def _number(value: float) -> float | str:
    """JSON has no NaN and no infinity."""
    return value if isfinite(value) else str(value)
