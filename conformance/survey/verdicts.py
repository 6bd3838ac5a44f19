"""What records say of architectures that were compiled and run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from conformance.cases.case import FORWARD
from conformance.cases.outcome import Record, Status, describe_outcome
from conformance.systems.user_model import Kind, ModelSpec
from conformance.systems.zoo import SOURCES


@dataclass(frozen=True)
class Verdict:
    """What became of an architecture on a target: its status, in words, the known defects that explain it, the sets
    of workarounds with which it is right, and the id of the case."""

    target: str
    status: Status
    text: str
    defects: tuple[str, ...]
    right_with: tuple[str, ...]
    case: str
    error_ratio: float | None

    @property
    def summary(self) -> str:
        """`wrong in compare, first in layer1: split-with-sizes; right with slice`."""
        cause = f": {', '.join(self.defects)}" if self.defects else ""
        helps = f"; right with {' or '.join(self.right_with)}" if self.right_with else ""
        return f"{self.text}{cause}{helps}"


def verdicts(records: Iterable[Record]) -> Mapping[str, list[Verdict]]:
    """Those on each architecture, by its `key`. An error of the suite's own is none."""
    found: dict[str, dict[str, list[Record]]] = {}
    for record in records:
        if record.subject.task == FORWARD and record.subject.system in SOURCES and record.layer is None:
            name = f"{record.subject.system}:{record.subject.variant}"
            found.setdefault(name, {}).setdefault(f"{record.subject}@{record.column.plain}", []).append(record)
    return {name: list(_of(cases.values())) for name, cases in found.items()}


def key(architecture: str) -> str:
    """What an architecture is called in records, `transformers:facebook-detr-resnet-50`."""
    spec = ModelSpec(source=architecture, kind=Kind.ZOO)
    return f"{spec.system}:{spec.variant}"


def _of(cases: Iterable[list[Record]]) -> Iterable[Verdict]:
    for records in cases:
        plain = next((record for record in records if not record.column.workarounds), None)
        if plain is None or plain.status is Status.SUITE_ERROR:
            continue
        right = [record for record in records if record.column.workarounds and record.status is Status.PASS]
        yield Verdict(
            target=plain.column.target,
            status=Status.NOT_JUDGED if plain.models_own else plain.status,
            text=_text(plain),
            defects=tuple(plain.defects),
            right_with=tuple("+".join(record.column.workarounds) for record in right),
            case=plain.id,
            error_ratio=plain.worst_ratio,
        )


def _text(record: Record) -> str:
    if record.status is Status.PASS:
        return "right"
    if record.models_own:
        return f"not judged: {record.detail}"
    if not record.decided:
        return str(record.status.value).replace("_", " ")
    return describe_outcome(record.status, record.stage, record.signature, record.first_bad_layer)
