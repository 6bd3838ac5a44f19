from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NoReturn

import pytest

from conformance.cases.outcome import Conditioning, DetectionFigures, GroupFigures, Record
from conformance.report.json_file import as_json
from conformance.report.matrix import build_matrix


def strictly(text: str) -> Any:
    def refuse(constant: str) -> NoReturn:
        pytest.fail(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


def content(records: list[Record]) -> Any:
    return strictly(as_json(build_matrix(records)))


def test_what_is_not_finite_is_a_string(
    make_wrong: Callable[..., Record], make_group: Callable[..., GroupFigures]
) -> None:
    groups = {"boxes": make_group(float("inf"), float("nan"))}
    found = content([make_wrong(groups=groups)])
    assert found["rows"][0]["cells"]["xla"]["noise_ratio"] == "Infinity"
    assert found["rows"][0]["cells"]["xla"]["cosine"] == "NaN"
    assert found["published_gate"][0]["noise_ratio"] == "Infinity"


def test_a_cell_has_what_is_needed_to_see_it_again(make_wrong: Callable[..., Record]) -> None:
    record = make_wrong()
    cell = content([record])["rows"][0]["cells"]["xla"]
    assert cell | {"stage": "compare"} == {
        "status": "wrong",
        "stage": "compare",
        "text": "✗ wrong: model.10 (C2PSA), scores (visible)",
        "first_bad_layer": "model.10",
        "worst_group": "scores",
        "noise_ratio": 48211.0,
        "error": 0.0048211,
        "severity": "visible",
        "checks": [],
        "invented": [],
        "cosine": 0.0512,
        "signature": None,
        "defects": ["split-with-sizes"],
        "evidence": {"split-with-sizes": "reproduced"},
        "same_program_as": None,
        "detections": None,
        "conditioning": {},
        "notes": [],
        "command": record.command,
        "id": record.id,
    }


def test_a_cell_has_detections_conditioning_and_notes(
    make_passing: Callable[..., Record], make_detected: Callable[..., DetectionFigures]
) -> None:
    never = Conditioning(layer="model.0", ratio=float("inf"), sufficient=True)
    record = make_passing(detections=make_detected(199), conditioning={"float32": never}, notes=["eager"])
    cell = content([record])["rows"][0]["cells"]["xla"]
    assert cell["detections"]["counts"][0] == {
        "confidence": 0.25,
        "reference": 200,
        "kept": 199,
        "lost": 1,
        "spurious": 0,
    }
    assert (cell["detections"]["ap"], cell["detections"]["reference_ap"]) == (0.5, 0.655)
    assert cell["conditioning"] == {"float32": {"layer": "model.0", "ratio": "Infinity", "sufficient": True}}
    assert cell["notes"] == ["eager"]


def test_weights_are_a_key_of_the_row(make: Callable[..., Record]) -> None:
    rows = content([make(weights="shapes"), make()])["rows"]
    assert [(row["model"], row["weights"]) for row in rows] == [
        ("yolo26n-detect", None),
        ("yolo26n-detect", "shapes"),
    ]


def test_not_tested_cells_are_explicit_and_every_row_has_every_column(sample: list[Record]) -> None:
    found = content(sample)
    for tables in (found, found["with_workarounds"], *(d["minimal_cases"] for d in found["defects"])):
        ids = [column["id"] for column in tables["columns"]]
        assert len(set(ids)) == len(ids)
        assert all(list(row["cells"]) == ids for row in tables["rows"])
    assert found["rows"][2]["cells"]["inductor"] == {"status": "not_tested"}


def test_emulated_is_a_flag_of_the_column(sample: list[Record]) -> None:
    flags = {column["target"]: column["emulated"] for column in content(sample)["columns"]}
    assert flags == {"inductor": False, "onnxruntime": False, "openvino": False, "xla": False, "emulator": True}


def test_totals_add_up(sample: list[Record]) -> None:
    found = content(sample)
    cells = [cell for row in found["rows"] for cell in row["cells"].values()]
    assert found["totals"]["real"]["cells"] + found["totals"]["emulated"]["cells"] == len(cells)
    for total in found["totals"].values():
        assert total.pop("cells") == sum(total.values())


def test_isolated_layers_defects_and_gate_are_there(sample: list[Record]) -> None:
    found = content(sample)
    assert [layers["pass"] for layers in found["isolated_layers"]] == [23, 23]
    assert found["isolated_layers"][0]["not_passing"][0]["path"] == "model.10"
    assert [defect["id"] for defect in found["defects"]] == ["split-with-sizes", "sort-refused"]
    assert found["published_gate_totals"]["real"] == {"wrong": 24, "passed_by_the_gate": 24}
    assert len([miss for miss in found["published_gate"] if not miss["emulated"]]) == 24
    assert [column["id"] for column in found["with_workarounds"]["columns"]][:2] == [
        "xla+functionalization",
        "xla+slice",
    ]
