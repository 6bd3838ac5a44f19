"""The table of what was measured: of each operator of torch, what a front end does with it. It needs no torch."""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from enum import Enum
from functools import cache, cached_property
from pathlib import Path

from conformance.cases.outcome import Strict
from conformance.core.reading import read_json

TORCH_XLA = Path(__file__).with_name("torch-xla-2.9.json")


class Fate(str, Enum):
    """What becomes of an operator while a model is traced: it is part of the program; it is computed on the CPU from
    the example inputs; or tracing ends there with an error."""

    LOWERED = "lowered"
    CPU = "cpu"
    REFUSED = "refused"


class OperatorRow(Strict):
    """One operator in one of the calls it was measured in, `aten::index.Tensor` in `mask_read`.

    `off` and `on` are its fates without functionalization, as torch-neuronx has it, and with; `error` is the first
    line of what was said where it was refused.
    """

    operator: str
    call: str
    off: Fate
    on: Fate
    error: str | None = None


class OperatorTable(Strict):
    """A file of measurements: of what versions, on what day. `package` in `holds_for` is taken to do the same."""

    package: str
    holds_for: str
    versions: dict[str, str]
    measured: date
    rows: list[OperatorRow]

    @cached_property
    def _fates(self) -> dict[tuple[str, bool], frozenset[Fate]]:
        found: dict[tuple[str, bool], set[Fate]] = defaultdict(set)
        for row in self.rows:
            found[row.operator, False].add(row.off)
            found[row.operator, True].add(row.on)
        return {key: frozenset(fates) for key, fates in found.items()}

    def fates(self, operator: str, functionalization: bool) -> frozenset[Fate]:
        """What was seen of an operator, `aten::index.Tensor`: several where its arguments decide, none where it was
        not measured."""
        return self._fates.get((operator, functionalization), frozenset())


@cache
def table() -> OperatorTable:
    """That of torch-xla."""
    return read_json(TORCH_XLA, OperatorTable)
