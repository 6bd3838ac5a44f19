from __future__ import annotations

import io
import json
from collections.abc import Callable

from rich.console import Console

from conformance.cases.outcome import DetectionFigures, Record, Status
from conformance.report.detections import CONFIDENCE, figures
from conformance.report.html import as_html
from conformance.report.json_file import as_json
from conformance.report.markdown import as_markdown
from conformance.report.matrix import build_matrix
from conformance.report.terminal import print_matrix

UNTESTED = "\u2013 not tested"


def listed(records: list[Record]) -> dict[tuple[str, str, bool], tuple[str, ...]]:
    return {
        (row.name, column.title, column.emulated): figures(cell)
        for table in build_matrix(records).detections
        for row, column, cell in table.cells()
    }


def printed(records: list[Record]) -> str:
    file = io.StringIO()
    print_matrix(build_matrix(records), Console(file=file, width=200))
    return file.getvalue().partition("Detections of models")[2].partition("──\n")[2].partition("──")[0]


def section(records: list[Record]) -> str:
    return as_markdown(build_matrix(records)).partition("\n## Detections\n")[2].partition("\n## ")[0]


def test_what_is_kept_lost_and_spurious_at_one_confidence(
    make_wrong: Callable[..., Record], make_detected: Callable[..., DetectionFigures]
) -> None:
    assert CONFIDENCE == 0.25
    record = make_wrong(weights="shapes", detections=make_detected(90, 200, 7, ap=0.212))
    assert listed([record]) == {
        ("yolo26n-detect/shapes", "xla", False): ("200", "45.0 %", "110", "7", "0.212", "0.655")
    }


def test_detections_of_seeded_weights_are_not_listed(
    make_wrong: Callable[..., Record], make_detected: Callable[..., DetectionFigures]
) -> None:
    records = [make_wrong(detections=make_detected(90))]
    assert listed(records) == {}
    assert "No detections of trained weights were seen." in section(records)
    assert "No detections of trained weights were seen." in as_html(build_matrix(records))
    assert printed(records) == ""


def test_what_was_not_seen_is_not_tested_and_not_zero(
    make: Callable[..., Record], make_passing: Callable[..., Record], make_detected: Callable[..., DetectionFigures]
) -> None:
    records = [
        make_passing(weights="shapes", detections=make_detected(200)),
        make_passing(weights="shapes", batch=4, detections=make_detected(200)),
        make(Status.CRASH, weights="shapes", target="openvino", signature="SIGSEGV"),
    ]
    cells = build_matrix(records).detections.real.cells()
    untested = {
        (row.subject.batch, str(column.of.plain), cell.status)
        for row, column, cell in cells
        if UNTESTED in figures(cell)
    }
    assert untested == {(2, "openvino", "crash"), (4, "openvino", "not_tested")}
    assert section(records).count(" | ".join([UNTESTED] * 6)) == 2
    assert "[✗ crash SIGSEGV](#cell-" in section(records)
    assert f"/b2/320x320/fp32 @ openvino: ✗ crash SIGSEGV; {UNTESTED}\n" in printed(records)
    assert f"/b4/320x320/fp32 @ openvino: {UNTESTED}\n" in printed(records)


def test_figures_at_other_confidences_are_not_taken_for_those(
    make_passing: Callable[..., Record], make_detected: Callable[..., DetectionFigures]
) -> None:
    found = make_detected(200)
    found = found.model_copy(update={"counts": found.counts[1:]})
    assert listed([make_passing(weights="shapes", detections=found)]) == {
        ("yolo26n-detect/shapes", "xla", False): (UNTESTED,) * 6
    }


def test_without_labels_there_is_no_precision(
    make_passing: Callable[..., Record], make_detected: Callable[..., DetectionFigures]
) -> None:
    ((*_, ap, reference_ap),) = listed(
        [make_passing(weights="shapes", detections=make_detected(3, ap=None))]
    ).values()
    assert (ap, reference_ap) == ("no labels", "no labels")


def test_emulated_ones_are_apart_and_say_so(
    make_wrong: Callable[..., Record],
    make_passing: Callable[..., Record],
    make_detected: Callable[..., DetectionFigures],
) -> None:
    records = [
        make_wrong(weights="shapes", target="emulator", sdk=sdk, detections=make_detected(90))
        for sdk in ("2.28.0", "2.29.1")
    ]
    records.append(make_passing(weights="shapes", workarounds=["slice"], detections=make_detected(200)))
    real, emulated = section(records).split("### Emulated (computed from the known defects of a release")
    assert "| xla + slice | [✓ pass]" in real
    assert "emulator" not in real
    assert "xla" not in emulated
    subject, rest = "yolo26n-detect/shapes/b2/320x320/fp32", "0 spurious; AP 0.500, of the reference 0.655"
    assert printed(records).splitlines() == [
        f"{subject} @ xla + slice: ✓ pass; 100.0 % of 200 kept, 0 lost, {rest}",
        f"EMULATED {subject} @ emulator, inf2 SDK 2.28.0 2.29.1: ✗ wrong; 45.0 % of 200 kept, 110 lost, {rest}",
    ]
    page = as_html(build_matrix(records)).partition('<section id="detections">')[2].partition("</section>")[0]
    assert (
        page.index('<span class="tag">real') < page.index("xla + slice") < page.index('<span class="tag emulated">')
    )
    found = json.loads(as_json(build_matrix(records)))["detections"]
    assert [(column["id"], column["emulated"]) for column in found["columns"]] == [
        ("xla+slice", False),
        ("emulator/inf2/sdk-2.28.0", True),
        ("emulator/inf2/sdk-2.29.1", True),
    ]
    assert found["rows"][0]["cells"]["xla+slice"]["detections"]["counts"][0]["kept"] == 200
