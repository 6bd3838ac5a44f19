from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from conformance.cases.outcome import Conditioning, GroupFigures, Record, Status
from conformance.core.errors import UserError
from conformance.report import published
from conformance.report.html import as_html
from conformance.report.json_file import as_json
from conformance.report.markdown import as_markdown
from conformance.report.matrix import build_matrix
from conformance.report.published import ABOUT, HEADINGS, Compared
from conformance.report.terminal import print_matrix

UNTESTED = "\u2013 not tested"


def compared(records: list[Record], name: str = "yolo26n-detect") -> Compared:
    (found,) = [found for found in build_matrix(records).published.figures if found.name == name]
    return found


def explained(records: list[Record], name: str = "yolo26n-detect") -> str:
    answer, why = compared(records, name).explained
    return f"{answer.value}: {why}"


def test_it_strikes_and_worked_around_the_output_is_right(
    make_wrong: Callable[..., Record], make_passing: Callable[..., Record]
) -> None:
    records = [make_wrong(), make_passing(workarounds=["slice"]), make_wrong(workarounds=["tensor_split"])]
    assert compared(records).cells == (
        "yolo26n-detect",
        "0.9943",
        "yolo26n-detect/b2/320x320/fp32",
        "whole output 0.9917",
        "scores 0.0512",
        "model.10 (C2PSA)",
        "yes",
        "slice: pass, tensor_split: wrong",
        "yes: it is triggered there, and with slice the output is right",
    )


def test_where_xla_is_right_the_defect_explains_nothing(make_passing: Callable[..., Record]) -> None:
    found = compared([make_passing()])
    assert found.cells[3:] == (
        "whole output 1.0000",
        "scores 1.0000",
        "none",
        "no",
        UNTESTED,
        "no: xla is right there",
    )


def test_what_is_wrong_by_something_else_is_not_put_down_to_it(
    make_wrong: Callable[..., Record], make_passing: Callable[..., Record]
) -> None:
    records = [make_wrong(defects=["another"]), make_passing(workarounds=["slice"])]
    assert explained(records) == "no: xla is wrong there, but not by this defect"
    assert compared(records).triggered is False


def test_without_a_workaround_that_was_tested_nothing_is_claimed(
    make: Callable[..., Record], make_wrong: Callable[..., Record], make_passing: Callable[..., Record]
) -> None:
    assert explained([make_wrong()]) == "open: it is triggered there, and with no workaround did it come to figures"
    elsewhere = make_passing(workarounds=["slice"], batch=4)
    other_defect = make_passing(workarounds=["topk-on-cpu"])
    crashed = make(Status.CRASH, workarounds=["functionalization"])
    assert explained([make_wrong(), elsewhere, other_defect, crashed]).startswith("open: ")


def test_what_stays_wrong_when_worked_around_is_explained_in_part(make_wrong: Callable[..., Record]) -> None:
    records = [make_wrong(), make_wrong(workarounds=["slice"], defects=[])]
    assert explained(records) == "partly: it is triggered there, but with slice the output is still wrong"


@pytest.mark.parametrize(
    "elsewhere",
    [
        {"target": "emulator"},
        {"target": "openvino"},
        {"emulated": True},
        {"layer": "model.3"},
        {"workarounds": ["slice"]},
        {"system": "yolo12"},
        {"variant": "s"},
        {"task": "detect-p6"},
    ],
)
def test_other_records_are_no_word_on_a_figure(make_wrong: Callable[..., Record], elsewhere: dict[str, Any]) -> None:
    found = compared([make_wrong(**elsewhere)])
    assert found.cells == ("yolo26n-detect", "0.9943", *[UNTESTED] * 7)
    assert (found.cosines, found.triggered, found.with_workarounds) == ({}, None, {})


def test_what_did_not_come_to_figures_is_not_tested(make: Callable[..., Record]) -> None:
    records = [make(Status.CRASH, signature="SIGSEGV", defects=["split-with-sizes"])]
    assert explained(records) == "not tested: no figures of this output, ✗ crash SIGSEGV"
    assert compared(records).cells[3:8] == (UNTESTED,) * 5


def test_a_figure_of_one_output_is_judged_by_its_own_groups(
    make_wrong: Callable[..., Record], make_passing: Callable[..., Record], make_group: Callable[..., GroupFigures]
) -> None:
    names = ("boxes", "scores", "mask coefficients")
    groups = {name: make_group(90.0, 0.05) for name in names} | {"protos": make_group(1.0, 0.9999)}
    records = [
        make_wrong(task="segment", groups=groups),
        make_wrong(task="segment", groups=groups | {"boxes": make_group(1.0, 1.0)}, workarounds=["slice"]),
        make_passing(
            task="segment", groups=dict.fromkeys(groups, make_group(1.0, 1.0)), workarounds=["functionalization"]
        ),
    ]
    assert compared(records, "yolo26n-segment, output 1").cosines == {"protos": 0.9999}
    assert explained(records, "yolo26n-segment, output 1") == "no: xla is right there"
    assert compared(records, "yolo26n-segment, output 0").cosines == dict.fromkeys(names, 0.05)
    assert explained(records, "yolo26n-segment, output 0") == (
        "yes: it is triggered there, and with functionalization the output is right"
    )


def test_a_record_without_the_group_is_not_tested(make_wrong: Callable[..., Record]) -> None:
    assert explained([make_wrong(task="classify")], "yolo26n-classify, output 0").startswith("not tested: no figures")


def test_a_pass_that_cannot_be_judged_says_nothing(make_passing: Callable[..., Record]) -> None:
    weak = {"bfloat16": Conditioning(layer="model.22", ratio=1.6, sufficient=False)}
    assert explained([make_passing(dtype="bfloat16", conditioning=weak)]) == (
        "open: xla passes, but the whole network cannot be judged in bfloat16"
    )
    assert explained([make_passing(conditioning=weak)]) == "no: xla is right there"


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ({"batch": 1, "height": 64}, {"batch": 2}),
        ({"batch": 2}, {"batch": 4}),
        ({"batch": 4}, {"batch": 1, "weights": "shapes"}),
        ({"dtype": "float32"}, {"dtype": "bfloat16"}),
        ({"height": 640}, {"height": 320}),
        ({"batch": 8}, {"batch": 1, "status": Status.ERROR, "groups": {}}),
    ],
)
def test_of_many_records_the_nearest_is_taken(
    make: Callable[..., Record], make_wrong: Callable[..., Record], better: dict[str, Any], worse: dict[str, Any]
) -> None:
    chosen = make_wrong(**better)
    other = make(**worse) if "status" in worse else make_wrong(**worse)
    for records in ([chosen, other], [other, chosen]):
        assert compared(records).cell.record == chosen


def test_all_forms_say_the_same_and_that_weights_are_others(
    make_wrong: Callable[..., Record], make_passing: Callable[..., Record]
) -> None:
    matrix = build_matrix([make_wrong(), make_passing(workarounds=["slice"]), make_passing(task="obb")])
    summary = "Can the defect split-with-sizes explain the published figures? 1 yes, 1 no, 8 not tested"
    assert matrix.published.summary == summary
    file = io.StringIO()
    print_matrix(matrix, Console(file=file, width=1000))
    markdown, page, text = as_markdown(matrix), as_html(matrix), file.getvalue()
    assert "are not known, and those here are others: figures are not expected to be equal" in ABOUT
    for form in (markdown, page, text):
        assert summary in form
        assert ABOUT in form
        assert "yes: it is triggered there, and with slice the output is right" in form
        assert "no: xla is right there" in form
    line = next(line for line in markdown.splitlines() if line.startswith("| yolo26n-detect | 0.9943"))
    assert "[yolo26n-detect/b2/320x320/fp32](#cell-yolo26n-detect-b2-320x320-fp32-xla)" in line
    assert f"| yolo26m-detect | 0.9879 | {' | '.join([UNTESTED] * (len(HEADINGS) - 2))} |" in markdown
    assert "yolo26m-detect" not in text
    found = json.loads(as_json(matrix))["published_figures"]
    assert found["about"] == ABOUT
    assert len(found["figures"]) == 10
    assert found["figures"][0] == {
        "figure": "yolo26n-detect",
        "published": {
            "variant": "n",
            "task": "detect",
            "cosine": 0.9943,
            "max_abs": 373.0,
            "output": None,
            "groups": [],
        },
        "id": "yolo26n-detect/b2/320x320/fp32@xla",
        "status": "wrong",
        "cosine": {"whole output": 0.9917},
        "worst_group": "scores",
        "worst_cosine": 0.0512,
        "first_bad_layer": "model.10",
        "defect_strikes": True,
        "with_workarounds": {"slice": "pass"},
        "defect_explains": "yes",
        "why": "it is triggered there, and with slice the output is right",
    }
    assert found["figures"][2]["defect_explains"] == "not tested"
    assert found["figures"][2]["defect_strikes"] is None


def test_without_a_record_of_them_the_terminal_leaves_them_out(make: Callable[..., Record]) -> None:
    file = io.StringIO()
    print_matrix(build_matrix([make(target="openvino")]), Console(file=file, width=120))
    assert "Published" not in file.getvalue()


SOURCE = '[source]\ntitle = "t"\nlink = "l"\nmeasured_on = "m"\n[[figure]]\nvariant = "n"\ntask = "detect"\n'


@pytest.mark.parametrize(
    ("figure", "complaint"),
    [
        ("cosine = 0.5\noutput = 1", "neither"),
        ('cosine = 0.5\ngroups = ["protos"]', "neither"),
        ("cosine = 1.5", "less than or equal to 1"),
        ("cosin = 0.5", "cosin"),
    ],
)
def test_a_broken_file_is_one_clear_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, figure: str, complaint: str
) -> None:
    path = tmp_path / "yolo26.toml"
    path.write_text(SOURCE + figure, encoding="utf-8")
    monkeypatch.setattr(published, "fixture_path", lambda *parts: path)
    with pytest.raises(UserError, match=complaint) as caught:
        build_matrix([])
    assert "\n" not in str(caught.value)
