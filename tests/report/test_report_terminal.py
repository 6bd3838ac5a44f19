from __future__ import annotations

import io
from collections.abc import Callable

from rich.cells import cell_len
from rich.console import Console

from conformance.cases.outcome import Record, Status
from conformance.report.matrix import build_matrix
from conformance.report.terminal import print_matrix


def printed(records: list[Record], width: int = 120) -> str:
    file = io.StringIO()
    print_matrix(build_matrix(records), Console(file=file, width=width))
    return file.getvalue()


def test_four_columns_fit_into_120(sample: list[Record]) -> None:
    text = printed([record for record in sample if not record.emulated])
    tables = [line for line in text.splitlines() if line.startswith(("│", "╭"))]
    assert max(cell_len(line) for line in tables) <= 120
    heads = [line for line in tables if "inductor" in line]
    assert len(heads) == 1
    assert all(name in heads[0] for name in ("onnxruntime", "openvino", "xla"))


def test_more_columns_than_fit_come_in_parts(sample: list[Record]) -> None:
    text = printed(sample, width=80)
    assert max(cell_len(line) for line in text.splitlines() if line.startswith(("│", "|"))) <= 80
    heads = [line.count("emulator") for line in text.splitlines() if line.startswith("|") and "emulator" in line]
    assert set(heads) == {1, 2}


def test_real_and_emulated_are_apart(make: Callable[..., Record], make_wrong: Callable[..., Record]) -> None:
    real, emulated = printed([make(), make_wrong(target="emulator", defects=[])]).split("EMULATED (computed", 1)
    assert "REAL" in real
    assert "xla" in real
    assert "emulator" not in real
    assert "not measured on the device" in emulated
    assert "xla" not in emulated.partition("Published figures")[0]


def test_missing_cells_are_not_tested(make: Callable[..., Record]) -> None:
    text = printed([make(target="onnxruntime"), make(target="openvino", batch=4)])
    assert text.count("\u2013 not tested") == 2


def test_a_wrong_cell_names_layer_group_defect_and_command(make_wrong: Callable[..., Record]) -> None:
    record = make_wrong()
    text = printed([record])
    assert "✗ wrong: model.10 (C2PSA), scores (visible)" in text
    assert "split-with-sizes [1]" in text
    assert f"[1] {record.command}" in text


def test_totals_come_last(sample: list[Record]) -> None:
    assert printed(sample).splitlines()[-2:] == [
        "REAL     48 cells: 6 pass, 24 wrong, 1 crash, 1 timeout, 16 not tested",
        "EMULATED 108 cells: 96 wrong, 1 error, 11 not tested",
    ]


def test_workarounds_layers_defects_gate_and_versions_are_there(sample: list[Record]) -> None:
    text = printed(sample)
    assert "The same cells with workarounds on" in text
    assert "+ functionalization" in text
    assert "yolo26n-detect/b2/320x320/fp32 @ xla: 23 of 24 layers pass" in text
    assert "✗ wrong: model.10 (C2PSA), error ratio 8,123" in text
    assert "Known defect split-with-sizes" in text
    assert "Workaround chunk: x.chunk(n)" in text
    assert "REAL: 24 of 24 wrong cells pass the published gate" in text
    assert "  and 19 more" in text
    assert "xla was measured with torch-xla 2.9.0" in text


def test_text_is_no_markup_and_no_escape_sequence(make: Callable[..., Record]) -> None:
    text = printed([make(Status.ERROR, signature="[bold]x[/nope] \x1b[31m")])
    assert "[bold]x[/nope]" in text
    assert "\x1b" not in text


def test_an_empty_matrix_prints_its_totals() -> None:
    assert printed([]).splitlines()[-2:] == ["REAL     0 cells", "EMULATED 0 cells"]
