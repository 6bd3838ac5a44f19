"""Which tier shows a failure first: the model or its export, the front end, the compiler or the device."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from conformance.cases.outcome import Record, Stage
from conformance.compare.calibration import FRONT_END, HEALTHY

DEVICES = ("neuron", "neuron-native")
# Compilers that know nothing of each other, and the way by which a model comes to them.
_WAYS = {
    "inductor": "torch.export and its decompositions",
    "onnxruntime": "torch.export and its decompositions",
    "openvino": "torch.export",
    "onnxruntime-torchscript": "torch.jit.trace",
    "xla": "a lazy trace",
}
_ALIKE = 0.05  # how far the errors of two compilers may be apart that make the same mistake
_COMPILER = (Stage.CAPTURE, Stage.LOWER, Stage.COMPILE)


def first_tiers(records: Iterable[Record]) -> dict[str, str]:
    """By the id of each failure, of a tier of Neuron's or of another compiler: where it comes in, as far as the other
    records tell. What is emulated is no tier."""
    programs: dict[object, list[Record]] = {}
    for record in records:
        if record.decided and not record.emulated:
            programs.setdefault(_program(record), []).append(record)
    return {
        record.id: (_first_tier if record.column.target in (FRONT_END, *DEVICES) else _of_compilers)(record, beside)
        for beside in programs.values()
        for record in beside
        if record.failed and record.column.target in (*_WAYS, *DEVICES)
    }


def _first_tier(record: Record, beside: Sequence[Record]) -> str:
    if record.models_own:
        return "the model: no target can be judged on it"
    controls = [other for other in beside if other.column.target in HEALTHY]
    if controls and all(other.failed for other in controls):
        return f"the model or its export: {_do(controls, 'fail')}, too"
    if record.column.target == FRONT_END:
        return "the front end"
    front = next((other for other in beside if other.column.target == FRONT_END), None)
    if front is None:
        return f"not known: there is no record on {FRONT_END}"
    if front.failed:
        return f"the front end: {FRONT_END} is {front.summary}, too"
    return f"{'the compiler' if record.stage in _COMPILER else 'the compiler or the device'}: {FRONT_END} passes"


def _of_compilers(record: Record, beside: Sequence[Record]) -> str:
    """Of a compiler that knows nothing of Neuron: is it alone, or is it what it has in common with others?"""
    if record.models_own:
        return "the model: no target can be judged on it"
    target = record.column.target
    others = [other for other in beside if other.column.target in _WAYS and other.column.target != target]
    right = [other for other in others if not other.failed]
    alike = [other for other in others if other.failed and _alike(record, other)]
    passing = f"; {_do(right, 'pass')}" if right else ""
    if alike:
        ways = {_WAYS[one.column.target] for one in (record, *alike)}
        shared = f" ({ways.pop()})" if len(ways) == 1 else ""
        return f"what they have in common{shared}: {_do([record, *alike], 'fail')} alike{passing}"
    if right:
        return f"{target}: {_do(right, 'pass')}"
    if others:
        return f"not known: {_do(others, 'fail')} in another way"
    return "not known: there is no record of another compiler"


def _alike(one: Record, other: Record) -> bool:
    """Whether two failures are one mistake: the same signature or, of wrong numbers, as far from the reference in
    every group."""
    if (one.status, one.signature) != (other.status, other.signature):
        return False
    if not one.groups or one.groups.keys() != other.groups.keys():
        return not one.groups and not other.groups and one.stage == other.stage
    errors = ((one.groups[name].rel_l2, other.groups[name].rel_l2) for name in one.groups)
    return all(abs(mine - its) <= _ALIKE * max(mine, its) for mine, its in errors)


def _do(records: Sequence[Record], verb: str) -> str:
    """`inductor and openvino pass`, `openvino passes`."""
    names = sorted({record.column.target for record in records})
    if len(names) > 1:
        return f"{' and '.join(names)} {verb}"
    return f"{names[0]} {verb}{'es' if verb.endswith('s') else 's'}"


def _program(record: Record) -> object:
    """What all tiers have alike: the subject, the layer and the workarounds."""
    return record.subject, record.layer, record.column.workarounds
