"""Which tier shows a failure first: the front end, the compiler or the device."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from conformance.cases.outcome import Record, Stage
from conformance.compare.calibration import FRONT_END, HEALTHY

DEVICES = ("neuron", "neuron-native")
_COMPILER = (Stage.CAPTURE, Stage.LOWER, Stage.COMPILE)


def first_tiers(records: Iterable[Record]) -> dict[str, str]:
    """By the id of each failure of a tier of Neuron's: where it comes in, as far as the other tiers' records tell.
    What is emulated is no tier."""
    programs: dict[object, list[Record]] = {}
    for record in records:
        if record.decided and not record.emulated:
            programs.setdefault(_program(record), []).append(record)
    return {
        record.id: _first_tier(record, beside)
        for beside in programs.values()
        for record in beside
        if record.failed and record.column.target in (FRONT_END, *DEVICES)
    }


def _first_tier(record: Record, beside: Sequence[Record]) -> str:
    if record.models_own:
        return "the model: no target can be judged on it"
    controls = [other for other in beside if other.column.target in HEALTHY]
    if controls and all(other.failed for other in controls):
        names = sorted({other.column.target for other in controls})
        return f"the model or its export: {' and '.join(names)} fail{'s' if len(names) == 1 else ''}, too"
    if record.column.target == FRONT_END:
        return "the front end"
    front = next((other for other in beside if other.column.target == FRONT_END), None)
    if front is None:
        return f"not known: there is no record on {FRONT_END}"
    if front.failed:
        return f"the front end: {FRONT_END} is {front.summary}, too"
    return f"{'the compiler' if record.stage in _COMPILER else 'the compiler or the device'}: {FRONT_END} passes"


def _program(record: Record) -> object:
    """What all tiers have alike: the subject, the layer and the workarounds."""
    return record.subject, record.layer, record.column.workarounds
