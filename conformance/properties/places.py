"""Where programs are tried: every column of the selection, in every dtype that it has. No torch here."""

from __future__ import annotations

from dataclasses import replace

from conformance.cases.case import SHORT_DTYPES, Case
from conformance.registry import load_target
from conformance.selection import Selection

DEFAULT_DTYPE = "float32"


def places(selection: Selection, named: bool) -> list[Case]:
    """A case for each column and dtype, to be filled with programs. Emulated targets only where targets are `named`:
    nothing is to be found on them that is not known."""
    columns = dict.fromkeys(
        replace(case, system="", variant="", task="", batch=1, dtype="")
        for case in selection.minimal
        if not case.workarounds
    )
    dtypes = sorted({case.dtype for case in (*selection.models, *selection.layers)}) or [DEFAULT_DTYPE]
    return [
        replace(column, dtype=dtype)
        for column in columns
        if named or not load_target(selection.targets[column.target]).emulated
        for dtype in dtypes
    ]


def place_id(place: Case) -> str:
    """`openvino/fp32`, `emulator/inf2/sdk-2.29.1/bf16`."""
    return f"{place.column}/{SHORT_DTYPES.get(place.dtype, place.dtype)}"
