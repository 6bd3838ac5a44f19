from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest

from conformance.cases.outcome import Aspect, Check, Conditioning, DetectionFigures, LayerFigures, Record, Status
from conformance.defects.catalogue import DEFECTS
from conformance.report.html import as_html
from conformance.report.layer_chart import layer_strip
from conformance.report.matrix import build_matrix

VOID = {"meta", "link", "br", "line", "rect"}


class Page(HTMLParser):
    """The elements of a page; fails where they are not properly nested."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, Any]]] = []
        self.text = ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> at {self.getpos()}"

    def handle_data(self, data: str) -> None:
        self.text += data

    def values(self, attribute: str) -> list[Any]:
        return [attrs[attribute] for _, attrs in self.elements if attribute in attrs]


def written(records: list[Record]) -> str:
    return as_html(build_matrix(records))


@pytest.fixture(scope="module")
def page(sample: list[Record]) -> Page:
    return Page(written(sample))


def test_every_link_and_button_has_its_one_target(page: Page) -> None:
    ids = Counter(page.values("id"))
    links = {href[1:] for href in page.values("href") if href.startswith("#")}
    buttons = set(page.values("popovertarget"))
    assert len(buttons) > 300
    assert links | buttons <= set(ids)
    assert set(ids.values()) == {1}
    assert "defect-split-with-sizes" in links


def test_nothing_is_fetched(sample: list[Record], page: Page) -> None:
    assert not {tag for tag, _ in page.elements} & {"img", "iframe", "object", "embed", "audio", "video", "base"}
    assert page.values("src") == []
    assert [attrs["href"] for tag, attrs in page.elements if tag == "link"] == ["data:,"]
    for tag, attrs in page.elements:
        assert tag == "a" or not attrs.get("href", "").startswith("http")
    text = written(sample)
    assert "@import" not in text
    assert "url(" not in text
    assert "fetch(" not in text


def test_hostile_text_stays_text(make: Callable[..., Record]) -> None:
    hostile = "<script>alert(1)</script>"
    text = written(
        [
            make(
                Status.ERROR,
                signature=hostile,
                detail=f"</pre>{hostile}",
                command=f"echo {hostile}",
                defects=[hostile],
            )
        ]
    )
    page = Page(text)
    assert text.count("<script>") == 1
    assert page.text.count(hostile) >= 4


def test_real_and_emulated_are_apart(make: Callable[..., Record], make_wrong: Callable[..., Record]) -> None:
    text = written([make(), make_wrong(target="emulator")])
    models = text.partition('<section id="models">')[2].partition("</section>")[0]
    real, emulated = models.split('<div class="scroll emulated"')
    assert '<span class="tag">real</span>' in real
    assert "<span>xla</span>" in real
    assert "<span>emulator</span>" not in real
    assert '<span class="tag emulated">emulated</span>' in real.rpartition("<h3")[2]
    assert "not measured on the device" in real.rpartition("<h3")[2]
    assert "<span>emulator</span><span>inf2</span><span>SDK 2.29.1</span>" in emulated
    assert "<span>xla</span>" not in emulated
    assert re.search(r"\.scroll\.emulated td \{ background: repeating-linear-gradient", text)


def test_missing_cells_say_not_tested(page: Page) -> None:
    untested = [attrs for tag, attrs in page.elements if tag == "td" and attrs.get("class") == "cell not_tested"]
    tables = page.text.partition("What the published gate")[0]
    assert len(untested) == tables.count("\u2013 not tested")
    assert len(untested) >= 16 + 11


def test_a_panel_tells_all_about_its_cell(make_wrong: Callable[..., Record]) -> None:
    record = make_wrong(same_program_as="another/b2/1x1/fp32@xla", detail="said the compiler")
    page = Page(written([record]))
    panel = page.text.partition("Reproduce")[2]
    for expected in (
        record.command,
        "Stagecompare",
        "First bad layermodel.10 (C2PSA)",
        "Published gatepasses (CosSim >= 0.98; cosine 0.9917)",
        "Same program asanother/b2/1x1/fp32@xla",
        "Compile38.2 s",
        "One call31.0 ms",
        "torch_xla 2.9.0",
        "48,2114.8e-03 (visible)0.0512",
        "24,106 · 48,211",
    ):
        assert expected in panel, expected
    assert "said the compiler" in page.text


def test_a_panel_shows_detections_conditioning_and_notes(
    make_wrong: Callable[..., Record], make_detected: Callable[..., DetectionFigures]
) -> None:
    weak = Conditioning(layer="model.22", ratio=1.61, sufficient=False)
    note = "attention: flash asked for, sdpa used: <flash_attn> is not installed"
    record = make_wrong(detections=make_detected(90, spurious=7), conditioning={"bfloat16": weak}, notes=[note])
    panel = Page(written([record])).text.partition("Reproduce")[2]
    for expected in (
        "Over 64 images. AP 0.500, of the reference 0.655; AP50 0.600, of the reference 0.812.",
        "0.2520045.0 %1107",
        "0.5100100.0 %00",
        "bfloat16model.221.61no: isolated layers count",
        f"Notes{note}",
    ):
        assert expected in " ".join(panel.split("\n")), expected


def test_a_panel_shows_every_verdict_what_was_made_up_and_errors_of_the_suite(
    make_wrong: Callable[..., Record], make: Callable[..., Record]
) -> None:
    checks = [
        Check(of=Aspect.MODEL, status=Status.PASS, call=1, noise_ratio=0.91),
        Check(of=Aspect.MODEL, status=Status.WRONG, call=2, signature="call 2", noise_ratio=48.2),
        Check(of=Aspect.DETECTIONS, status=Status.NOT_JUDGED),
    ]
    record = make_wrong(checks=checks, invented=["multiply-reduce"])
    panel = Page(written([record])).text.partition("Reproduce")[2]
    for expected in (
        "Verdictsmodel, call 1: pass, error ratio 0.91",
        "model, call 2: wrong (call 2), error ratio 48.2",
        "detections: not judged",
        "Made upby the emulator: what comes out of multiply-reduce is not known",
    ):
        assert expected in panel, expected
    ours = make(
        status=Status.SUITE_ERROR, signature="KeyError", traceback="Traceback (most recent call last): <here>"
    )
    assert "Error of the suiteTraceback (most recent call last): <here>" in "".join(
        Page(written([ours])).text.split("\n")
    )


def test_a_record_without_them_has_no_detections_conditioning_or_notes(make_wrong: Callable[..., Record]) -> None:
    panel = Page(written([make_wrong()])).text.partition("Reproduce")[2].partition("Isolated layers")[0]
    assert "Output groups" in panel
    assert "Detections" not in panel
    assert "judged" not in panel
    assert "Notes" not in panel
    assert "Verdicts" not in panel
    assert "Made up" not in panel
    assert "Error of the suite" not in panel


def test_a_failure_that_no_defect_explains_says_so(make_wrong: Callable[..., Record]) -> None:
    unknown = "unknown: no defect of the catalogue explains it"
    assert unknown in written([make_wrong(defects=[])])
    assert unknown not in written([make_wrong()])
    first = "<dt>Comes in with</dt><dd>the front end</dd>"
    assert first in written([make_wrong()])
    assert first not in written([make_wrong(target="openvino")])


def test_the_strip_shows_where_it_starts_to_go_wrong(make_wrong: Callable[..., Record]) -> None:
    strip = layer_strip(make_wrong().layers)
    assert strip is not None
    assert len(strip.bars) == 24
    assert [bar.label for bar in strip.bars if bar.bad] == [str(i) for i in range(10, 24)]
    assert [bar.label for bar in strip.bars if bar.first_bad] == ["10"]
    heights = [bar.height for bar in strip.bars]
    assert heights.index(max(heights)) == 10
    assert min(heights[10:]) > 2 * max(heights[:10])
    text = written([make_wrong()])
    assert text.count('<rect class="bad"') == 14
    assert "<title>model.10 (C2PSA): error ratio 90,000, error 9.0e-03 (" in text


def test_the_strip_survives_what_is_not_finite_and_what_is_zero(make_layer: Callable[..., LayerFigures]) -> None:
    values = [0.0, 1.0, 1e300, float("inf"), float("nan")]
    strip = layer_strip([make_layer(f"model.{i}", "Conv", value) for i, value in enumerate(values)])
    assert strip is not None
    heights = [bar.height for bar in strip.bars]
    assert heights == sorted(heights)
    assert 0 < heights[0] < heights[1] < heights[2]
    assert heights[3] == heights[4] == 90
    assert len(strip.lines) <= 8


def test_the_strip_tells_layers_apart_whose_last_names_are_the_same(make_layer: Callable[..., LayerFigures]) -> None:
    paths = [
        "body.0",
        "body.16",
        "fpn.inner.0",
        "heads.0.cls_logits",
        "heads.1.cls_logits",
        "x.a_name_that_is_very_long",
    ]
    strip = layer_strip([make_layer(path, "Conv", 1.0) for path in paths])
    assert strip is not None
    labels = [bar.label for bar in strip.bars]
    assert labels == ["body.0", "body.16", "inner.0", "0.cls_logits", "1.cls_logits", "…at_is_very_long"]
    assert strip.upright
    assert strip.height > strip.base + 16 * 5


def test_the_strip_of_numbered_layers_has_their_numbers_below(make_wrong: Callable[..., Record]) -> None:
    strip = layer_strip(make_wrong().layers)
    assert strip is not None
    assert [bar.label for bar in strip.bars] == [str(i) for i in range(24)]
    assert not strip.upright


def test_isolated_layers_have_no_strip(make_layer: Callable[..., LayerFigures], make: Callable[..., Record]) -> None:
    isolated = make_layer("model.3", "Conv", 9.0, "isolated")
    assert layer_strip([isolated]) is None
    assert "<svg" not in written([make(Status.WRONG, layer="model.3", layers=[isolated])])


def test_passing_cells_have_no_strip(make_passing: Callable[..., Record]) -> None:
    assert "<svg" not in written([make_passing()])


def test_workarounds_layers_defects_and_gate_are_there(page: Page) -> None:
    assert "+ functionalization" in page.text
    assert "23 of 24 layers pass" in page.text
    assert "24 of 24 wrong cells pass the published gate." in page.text
    assert "x[:, a:b] instead of x.split([...])" in page.text


def test_every_known_defect_has_a_page(sample: list[Record]) -> None:
    text = written(sample)
    for defect in DEFECTS.values():
        shown = Page(text.partition(f'<article class="page" id="defect-{defect.id}">')[2].partition("</article>")[0])
        for expected in (
            defect.title,
            defect.known,
            defect.seen,
            f"Shows in{defect.stage.value}",
            *defect.workarounds,
            *(f"{case.name}: {case.title}" for case in defect.minimal_cases),
        ):
            assert expected in shown.text, f"{defect.id}: {expected}"
        assert set(defect.links) <= set(shown.values("href"))
    split = text.partition('id="defect-split-with-sizes">')[2].partition("</article>")[0]
    assert split.count("<li>") == 12 + 96, "the cells of models that are put down to it"


def test_a_cell_says_how_sure_its_defect_is(make_wrong: Callable[..., Record]) -> None:
    text = Page(written([make_wrong(defects=["batch-4-split", "from-the-future"], target="emulator")])).text
    assert "batch-4-split (report), from-the-future" in " ".join(text.split("\n"))


def test_it_has_a_dark_side(sample: list[Record]) -> None:
    text = written(sample)
    assert "@media (prefers-color-scheme: dark)" in text
    assert '<meta name="viewport"' in text


def test_an_empty_matrix_is_a_page() -> None:
    assert Page(written([])).text.count("No cell was run.") == 4
