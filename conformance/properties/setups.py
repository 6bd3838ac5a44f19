"""Where programs are tried: every column of the selection, in every dtype that it has. No torch here."""

from __future__ import annotations

from dataclasses import dataclass

from conformance.cases.case import SHORT_DTYPES, Column
from conformance.selection.selection import Selection
from conformance.targets.loading import load_target

DEFAULT_DTYPE = "float32"


@dataclass(frozen=True)
class Setup:
    """A column and a dtype, for any program."""

    column: Column
    dtype: str

    def __str__(self) -> str:
        """`openvino/fp32`, `emulator/inf2/sdk-2.29.1/bf16`."""
        return f"{self.column}/{SHORT_DTYPES.get(self.dtype, self.dtype)}"


def setups(selection: Selection, named: bool) -> list[Setup]:
    """Every column without workarounds, in every dtype of the selection. Emulated targets only where targets are
    `named`: nothing is to be found on them that is not known."""
    columns = dict.fromkeys(case.column.plain for case in selection.minimal)
    dtypes = sorted({case.subject.dtype for case in (*selection.models, *selection.layers)}) or [DEFAULT_DTYPE]
    return [
        Setup(column, dtype)
        for column in columns
        if named or not load_target(selection.targets[column.target]).emulated
        for dtype in dtypes
    ]
