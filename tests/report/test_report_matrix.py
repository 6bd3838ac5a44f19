from __future__ import annotations

from collections.abc import Callable
from itertools import groupby

import pytest

from conformance.cases.outcome import Record, Status
from conformance.cases.releases import releases
from conformance.defects.catalogue import DEFECTS
from conformance.report.matrix import build_matrix
from conformance.report.table import MatrixTable, anchors


def subjects(table: MatrixTable) -> list[str]:
    return [str(row.subject) for row in table.rows]


def titles(table: MatrixTable) -> list[str]:
    return [column.title for column in table.columns]


def test_every_pair_without_a_record_is_not_tested(make: Callable[..., Record]) -> None:
    matrix = build_matrix([make(), make(target="openvino", batch=4)])
    cells = {
        (row.subject.batch, str(column.of.plain)): cell.status for row, column, cell in matrix.models.real.cells()
    }
    assert cells == {
        (2, "openvino"): "not_tested",
        (2, "xla"): "pass",
        (4, "openvino"): "pass",
        (4, "xla"): "not_tested",
    }


def test_emulated_columns_have_all_rows_and_no_real_column(make: Callable[..., Record]) -> None:
    matrix = build_matrix([make(), make(target="emulator", batch=4)])
    assert titles(matrix.models.real) == ["xla"]
    assert titles(matrix.models.emulated) == ["emulator / inf2 / SDK 2.29.1"]
    assert subjects(matrix.models.real) == subjects(matrix.models.emulated)
    assert matrix.models.emulated.statuses == ["not_tested", "pass"]


def test_what_was_only_run_with_workarounds_is_not_tested_without(make: Callable[..., Record]) -> None:
    matrix = build_matrix([make(workarounds=["slice"])])
    assert matrix.models.real.statuses == ["not_tested"]
    assert titles(matrix.with_workarounds.real) == ["xla + slice"]
    assert matrix.with_workarounds.real.statuses == ["pass"]


def test_layers_and_minimal_cases_are_no_models(make: Callable[..., Record]) -> None:
    minimal = make(system="split-with-sizes", variant="sdk-1140", task="", height=None, width=None)
    matrix = build_matrix([minimal, make(layer="model.3")])
    assert matrix.models.real.statuses == []


def test_rows_are_in_the_order_of_size_batch_and_dtype(make: Callable[..., Record]) -> None:
    records = [make(variant=v, batch=b) for v in ("x", "s", "n") for b in (16, 4)]
    records += [make(variant="n", batch=4, dtype="bfloat16"), make(variant="n", batch=4, height=96)]
    assert subjects(build_matrix(records).models.real) == [
        "yolo26n-detect/b4/96x320/fp32",
        "yolo26n-detect/b4/320x320/fp32",
        "yolo26n-detect/b4/320x320/bf16",
        "yolo26n-detect/b16/320x320/fp32",
        "yolo26s-detect/b4/320x320/fp32",
        "yolo26s-detect/b16/320x320/fp32",
        "yolo26x-detect/b4/320x320/fp32",
        "yolo26x-detect/b16/320x320/fp32",
    ]


def test_records_that_differ_in_weights_alone_are_two_rows(
    make: Callable[..., Record], make_wrong: Callable[..., Record]
) -> None:
    table = build_matrix(
        [make_wrong(weights="shapes"), make(weights="pretrained"), make(batch=4), make()]
    ).models.real
    assert [(row.name, row.subject.batch) for row in table.rows] == [
        ("yolo26n-detect", 2),
        ("yolo26n-detect", 4),
        ("yolo26n-detect/pretrained", 2),
        ("yolo26n-detect/shapes", 2),
    ]
    assert table.statuses == ["pass", "pass", "pass", "wrong"]


def test_variants_are_in_the_order_of_their_size(make: Callable[..., Record]) -> None:
    records = [make(system="yolov9", variant=variant) for variant in "ecmst"]
    assert [row.subject.variant for row in build_matrix(records).models.real.rows] == [*"tsmce"]


def test_a_record_of_an_earlier_run_is_read(make_wrong: Callable[..., Record]) -> None:
    new = {"weights", "detections", "conditioning", "notes"}
    record = Record.model_validate_json(make_wrong().model_dump_json(exclude=new))
    assert subjects(build_matrix([record]).models.real) == ["yolo26n-detect/b2/320x320/fp32"]


def test_columns_are_in_the_order_of_releases(make: Callable[..., Record]) -> None:
    records = [make(target="emulator", sdk=sdk) for sdk in ("2.31.0", "2.9.0", "2.29.1")]
    columns = build_matrix(records).models.emulated.columns
    assert [column.of.sdk for column in columns] == ["2.9.0", "2.29.1", "2.31.0"]


def test_a_split_table_keeps_a_workaround_in_one_part_and_loses_no_column(sample: list[Record]) -> None:
    table = build_matrix(sample).with_workarounds.emulated
    parts = table.split(9)
    assert [column for part in parts for column in part.columns] == list(table.columns)
    assert [{column.of.workarounds for column in part.columns} for part in parts] == [
        {("functionalization",)},
        {("slice",)},
    ]
    assert all(len(part.columns) <= 3 for part in table.split(3))


def test_versions_are_those_of_the_target_s_own_packages(make: Callable[..., Record]) -> None:
    packages = {"torch": "2.9.0", "torch_xla": "2.9.0", "openvino": "2026.4.1", "numpy": "2.3"}
    records = [make(target=target, environment=packages) for target in ("xla", "openvino", "inductor", "emulator")]
    measured = {str(column.of.plain): versions for column, versions in build_matrix(records).measured_with}
    assert measured == {"xla": "torch-xla 2.9.0", "openvino": "openvino 2026.4.1", "inductor": "torch 2.9.0"}


@pytest.mark.parametrize("target", ["neuron", "neuron-native"])
def test_versions_of_a_neuron_host_are_those_of_its_compiler_driver_and_runtime(
    make: Callable[..., Record], target: str
) -> None:
    packages = {
        "neuron-conformance": "0.1",
        "torch": "2.9.0",
        "neuronx-cc": "2.24.8799.0",
        "torch-neuronx": "2.9.0.2.13.26312",
        "instance": "inf2.xlarge",
        "aws-neuronx-dkms": "2.27.4.0",
    }
    ((_, versions),) = build_matrix([make(target=target, environment=packages)]).measured_with
    assert versions == "aws-neuronx-dkms 2.27.4.0, neuronx-cc 2.24.8799.0, torch-neuronx 2.9.0.2.13.26312"


def test_versions_of_two_hosts_are_both_named(make: Callable[..., Record]) -> None:
    records = [make(batch=b, environment={"torch_xla": f"2.{b}.0"}) for b in (8, 9)]
    assert [versions for _, versions in build_matrix(records).measured_with] == ["torch-xla 2.8.0, torch-xla 2.9.0"]


def test_isolated_layers_are_counted_and_the_failing_ones_named(sample: list[Record]) -> None:
    isolated = build_matrix(sample).isolated_on(False)
    assert [(str(found.row.subject), found.column.title, found.summary) for found in isolated] == [
        ("yolo26n-detect/b2/320x320/fp32", "xla", "23 of 24 layers pass")
    ]
    (layer,) = isolated[0].rest
    assert layer.text.startswith("✗ wrong: model.10 (C2PSA), error ratio 8,123, error 8.1e-04 (")


def test_an_isolated_layer_that_did_not_compile_is_named_without_figures(make: Callable[..., Record]) -> None:
    failed = make(Status.ERROR, layer="model.3", signature="NCC_X")
    (found,) = build_matrix([failed, make(layer="model.4")]).isolated
    assert found.summary == "1 of 2 layers pass"
    assert [layer.text for layer in found.rest] == ["✗ NCC_X: model.3"]


def test_isolated_layers_with_workarounds_are_apart(make: Callable[..., Record]) -> None:
    found = build_matrix([make(layer="model.3"), make(layer="model.3", workarounds=["slice"])]).isolated
    assert [layers.column.title for layers in found] == ["xla", "xla + slice"]


def test_a_defect_appears_with_its_minimal_cases_and_workarounds(sample: list[Record]) -> None:
    known = build_matrix(sample).defects[0]
    assert known.id == "split-with-sizes"
    assert known.packages == ("torch-xla >=2.5",)
    assert dict(known.workarounds)["chunk"].startswith("x.chunk(n)")
    assert [(row.name, row.workarounds) for row in known.minimal.real.rows][:3] == [
        ("attention-qkv", ()),
        ("attention-qkv", ("functionalization",)),
        ("attention-qkv", ("slice",)),
    ]
    assert known.minimal.real.statuses == ["wrong", "pass", "pass"] * 3
    assert (known.real_cells, known.emulated_cells) == (12, 96)


def test_a_defect_says_which_releases_have_it(make_wrong: Callable[..., Record]) -> None:
    def said(name: str) -> str:
        return build_matrix([make_wrong(defects=[name])]).seen_defects[0].releases

    assert said("batch-4-split") == "since SDK 2.26.1, on inf2, trn1; not known to be fixed"
    assert said("multiply-reduce") == "up to SDK 2.31.1; fixed in 2.32.0"
    assert said("auto-cast-nan") == "since SDK 2.28.0, at matmult-bf16; not known to be fixed"
    assert said("sort-refused") == "SDK 2.28.0 to 2.29.1; fixed in 2.30.0"
    assert said("openvino-resize-to-one") == said("no-such-defect") == ""
    for defect in DEFECTS.values():
        have = (defect.affects(release.packages, ()) for release in releases().values())
        assert [has for has, _ in groupby(have)].count(True) <= 1, f"{defect.id} comes and goes: that is no range"


def test_a_defect_with_passing_minimal_cases_alone_appears(make: Callable[..., Record]) -> None:
    case = make(system="sort-refused", variant="topk", task="", height=None, width=None)
    assert [known.id for known in build_matrix([case]).seen_defects] == ["sort-refused"]


def test_a_defect_that_does_not_appear_is_not_among_those_seen_and_one_that_is_unknown_is(
    make_wrong: Callable[..., Record],
) -> None:
    matrix = build_matrix([make_wrong(defects=["from-the-future"])])
    (known,) = matrix.seen_defects
    assert known.defect is None
    assert "catalogue" in known.title
    assert [known.id for known in matrix.defects] == [*DEFECTS, "from-the-future"]


def test_a_defect_knows_the_cells_of_models_that_are_put_down_to_it(make_wrong: Callable[..., Record]) -> None:
    wrong = make_wrong(defects=["split-with-sizes"], workarounds=["slice"])
    layer = make_wrong(defects=["split-with-sizes"], layer="model.10")
    ((row, column, cell),) = build_matrix([wrong, layer]).seen_defects[0].seen_in
    assert (row.subject, column.title, cell.record) == (wrong.case.subject, "xla + slice", wrong)


def test_the_gate_s_list_has_the_wrong_cells_it_passes_and_no_other(
    make_wrong: Callable[..., Record], make_passing: Callable[..., Record]
) -> None:
    caught = make_wrong(batch=4)
    assert caught.published_gate is not None
    caught = make_wrong(batch=4, published_gate=caught.published_gate.model_copy(update={"passes": False}))
    records = [make_wrong(), caught, make_passing(batch=8), make_wrong(target="emulator")]
    real, emulated = build_matrix(records).gates
    assert [miss.row.subject.batch for miss in real.missed] == [2]
    assert real.summary == "1 of 2 wrong cells passes the published gate"
    assert emulated.summary == "1 of 1 wrong cell passes the published gate"
    assert real.missed[0].worst is not None
    assert (real.missed[0].worst_group, real.missed[0].worst.cosine) == ("scores", 0.0512)


def test_nothing_is_asked_of_the_gate_about_a_record_without_its_word(make_wrong: Callable[..., Record]) -> None:
    assert build_matrix([make_wrong(published_gate=None)]).gates[0].wrong == 0


def test_anchors_of_different_ids_differ() -> None:
    ids = ["a/b", "a@b", "a-b", "a-b--2"]
    found = anchors("cell", [*ids, "a/b"])
    assert list(found) == ids
    assert len(set(found.values())) == 4
    assert found["a/b"] == "cell-a-b"


def test_no_records_make_an_empty_matrix() -> None:
    matrix = build_matrix([])
    assert (matrix.models.real.statuses, matrix.seen_defects, matrix.isolated) == ([], (), ())
