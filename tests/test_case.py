"""Ids read well, select, and survive the round trip."""

from __future__ import annotations

import pytest
from cells import cell

from conformance.cases.case import parse_id, parse_resolution
from conformance.core.errors import UserError

CASES = {
    "yolo26n-detect/b2/320x320/fp32@xla": cell("yolo26", "n", "detect", 2, 320, 320, "float32", "xla"),
    "yolo26n-detect/b4/384x640/bf16@emulator/inf2/sdk-2.29.1+slice+functionalization": cell(
        "yolo26",
        "n",
        "detect",
        4,
        384,
        640,
        "bfloat16",
        "emulator",
        hardware="inf2",
        sdk="2.29.1",
        workarounds=("slice", "functionalization"),
    ),
    "yolo26n-detect/b2/320x320/fp32/model.10@xla": cell(
        "yolo26", "n", "detect", 2, 320, 320, "float32", "xla", layer="model.10"
    ),
    "yolo26n-detect/b2/320x320/fp32@neuron/trn2/sdk-2.29.1/O1/lnc1+slice": cell(
        "yolo26",
        "n",
        "detect",
        2,
        320,
        320,
        "float32",
        "neuron",
        hardware="trn2",
        sdk="2.29.1",
        workarounds=("slice",),
        settings=("O1", "lnc1"),
    ),
    "yolo26n-detect/b2/320x320/fp32@mine/cpu/O1": cell(
        "yolo26", "n", "detect", 2, 320, 320, "float32", "mine", settings=("O1",)
    ),
    "split-with-sizes:sdk-1140/b2/fp32@xla": cell(
        "split-with-sizes", "sdk-1140", "", 2, None, None, "float32", "xla"
    ),
}


@pytest.mark.parametrize("text", CASES)
def test_id_round_trip(text: str) -> None:
    case = CASES[text]
    assert case.id == text
    part = parse_id(text)
    assert (part.model, part.column, part.layer) == (case.subject.model, case.column, case.layer)
    for name in ("batch", "height", "width", "dtype", "weights"):
        assert getattr(part, name) == getattr(case.subject, name), name


@pytest.mark.parametrize("text", ["", "yolo26n", "yolo26n-detect/320x320/fp32@xla", "yolo26n-detect/b2/320x320/fp32"])
def test_what_is_no_id_is_an_error_with_an_example(text: str) -> None:
    with pytest.raises(UserError, match="no case id; one looks like"):
        parse_id(text)


def test_resolution_is_height_by_width_or_a_square() -> None:
    assert parse_resolution("384x640") == (384, 640)
    assert parse_resolution("640") == (640, 640)
    with pytest.raises(UserError, match="HEIGHTxWIDTH"):
        parse_resolution("640 by 384")
