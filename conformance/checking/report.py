"""What became of a model: records, and what a person reads of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from math import isnan

from conformance.cases.outcome import Aspect, LayerFigures, Record, Status, describe_outcome
from conformance.report.failure import group_lines, layer_line, lines
from conformance.report.formatting import plural, share

_LISTED = 5  # bad layers that are named


@dataclass(frozen=True)
class Report:
    """Records of the whole model, one for each target, dtype and size; of its layers compiled alone, where these had
    to decide; and of what failed, with workarounds on. `model` is what it is called."""

    model: str
    records: tuple[Record, ...]
    isolated: tuple[Record, ...] = ()
    remedies: tuple[Record, ...] = ()

    @property
    def all(self) -> tuple[Record, ...]:
        """In the order they were written."""
        return (*self.records, *self.isolated, *self.remedies)

    @property
    def passed(self) -> bool:
        """Whether everything that could be judged is right, and something could."""
        decided = [record for record in (*self.records, *self.isolated) if record.decided]
        return bool(decided) and not any(record.failed for record in decided)

    @property
    def failures(self) -> tuple[Record, ...]:
        """What is not right."""
        return tuple(record for record in (*self.records, *self.isolated) if record.failed)

    @property
    def suite_error(self) -> bool:
        """Whether something is an error of the suite's own."""
        return any(record.status is Status.SUITE_ERROR for record in (*self.records, *self.isolated))

    @property
    def first_bad_layer(self) -> str | None:
        """Of the first record that has one."""
        return next((record.first_bad_layer for record in self.records if record.first_bad_layer), None)

    @property
    def defects(self) -> tuple[str, ...]:
        """The known defects that explain what is wrong."""
        return tuple(dict.fromkeys(name for record in self.failures for name in record.defects))

    @property
    def works_with(self) -> tuple[tuple[str, ...], ...]:
        """Sets of workarounds with which a case that failed passes."""
        passing = (record.column.workarounds for record in self.remedies if record.status is Status.PASS)
        return tuple(dict.fromkeys(passing))

    def __str__(self) -> str:
        """What `conformance check` prints."""
        return "\n".join(line for record in self.records for line in self.lines(record))

    def _repr_html_(self) -> str:
        """For a notebook."""
        colour = "#2e7d32" if self.passed else "#c62828"
        head = f"<b>{escape(self.model)}</b>: <b style='color:{colour}'>{escape(self.headline)}</b>"
        return f"{head}<pre>{escape(str(self))}</pre>"

    @property
    def headline(self) -> str:
        """`right on openvino`, `wrong in compare, first in model.10 on xla`, `not judged on emulator`."""
        said = (f"{_verdict(record).lower()} on {record.column}" for record in self.records)
        return "; ".join(said) or "nothing was run"

    def lines(self, record: Record) -> Iterator[str]:
        """All that is said of one record of the whole model."""
        yield f"{_verdict(record)}  {record.id}"
        if record.failed:
            yield from (f"  {line}" for line in lines(record))
            yield from _bad_layers(record)
        else:
            yield from (f"  {line}" for line in group_lines(record.groups))
            if record.detail:
                yield f"  {record.detail}"
        yield from _layers(record)
        yield from _detections(record)
        yield from self._alone(record)
        yield from self._remedies(record)
        yield from (f"  note: {note}" for note in record.notes)

    def _alone(self, record: Record) -> Iterator[str]:
        found = [one for one in self.isolated if one.column == record.column and one.subject == record.subject]
        if not found:
            return
        bad = [one for one in found if one.failed]
        undecided = sum(not one.decided for one in found)
        said = f"; {undecided} not judged" if undecided else ""
        yield f"  layers compiled alone: {len(found) - len(bad) - undecided} of {len(found)} right{said}"
        for one in bad[:_LISTED]:
            yield f"  ✗ {one.layer}: {describe_outcome(one.status, one.stage, one.signature)}"
            yield from (f"  {line}" for line in lines(one))

    def _remedies(self, record: Record) -> Iterator[str]:
        for tried in self.remedies:
            if tried.subject == record.subject and tried.column.plain == record.column.plain:
                ratio = "" if tried.worst_ratio is None else f", error ratio {tried.worst_ratio:.3g}"
                names = " + ".join(tried.column.workarounds)
                yield f"  with {names}: {_verdict(tried).lower()}{ratio}"


def _verdict(record: Record) -> str:
    """`RIGHT`, `WRONG in compare, first in model.10`, `NOT JUDGED`."""
    if record.status is Status.PASS:
        return "RIGHT"
    status = str(record.status.value).replace("_", " ").upper()
    if not record.decided:
        return status
    told = describe_outcome(record.status, record.stage, record.signature, record.first_bad_layer)
    return f"{status}{told.removeprefix(record.status.value)}"


def _layers(record: Record) -> Iterator[str]:
    """`48 of 48 layers right in place, at most 1.9 in layer4.1 (BasicBlock)`."""
    if not record.layers:
        check = record.checked(Aspect.IN_PLACE)
        if check is not None and check.detail:
            yield f"  layers in place: {check.detail}"
        return
    right = sum(not layer.bad for layer in record.layers)
    worst = max(record.layers, key=_size)
    yield (
        f"  layers in place: {right} of {plural(len(record.layers), 'layer')} right; largest error ratio "
        f"{worst.noise_ratio:.3g} in {worst.path} ({worst.type})"
    )


def _size(layer: LayerFigures) -> tuple[bool, float]:
    return isnan(layer.noise_ratio), layer.noise_ratio


def _bad_layers(record: Record) -> Iterator[str]:
    """Those behind the first, which is named already."""
    bad = [layer for layer in record.layers if layer.bad][1:]
    yield from (f"  {layer_line(layer)}" for layer in bad[: _LISTED - 1])
    if len(bad) >= _LISTED:
        yield f"    and {len(bad) - _LISTED + 1} more"


def _detections(record: Record) -> Iterator[str]:
    found = record.detections
    for count in found.counts if found else ():
        kept = f"{share(count.kept, count.reference)} of {count.reference}"
        yield f"  confidence {count.confidence:g}: {kept} kept, {count.lost} lost, {count.spurious} spurious"
