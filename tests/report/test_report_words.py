from __future__ import annotations

from collections.abc import Callable

import pytest

from conformance.cases.outcome import Record, Stage, Status
from conformance.report.formatting import cell_text, natural, one_line, precision, ratio, share, totals


def test_a_cell_without_a_record_says_not_tested() -> None:
    assert str(cell_text(None)) == "\u2013 not tested"


@pytest.mark.parametrize(
    ("status", "signature", "text"),
    [
        (Status.PASS, None, "✓ pass"),
        (Status.NOT_RUN, None, "\u2013 compiled, not run"),
        (Status.ERROR, "NCC_EVRF029", "✗ NCC_EVRF029"),
        (Status.ERROR, None, "✗ error"),
        (Status.CRASH, "SIGSEGV", "✗ crash SIGSEGV"),
        (Status.CRASH, None, "✗ crash"),
        (Status.TIMEOUT, None, "✗ timeout"),
        (Status.FALLBACK, None, "✗ fallback"),
        (Status.UNSUPPORTED, None, "\u2013 unsupported"),
        (Status.NOT_JUDGED, None, "\u2013 not judged"),
        (Status.MISMATCH, None, "✗ mismatch"),
        (Status.WRONG, None, "✗ wrong"),
        (Status.NONFINITE, None, "✗ nonfinite"),
    ],
)
def test_a_cell_says_how_the_case_ended(
    make: Callable[..., Record], status: Status, signature: str | None, text: str
) -> None:
    assert str(cell_text(make(status, signature=signature, stage=Stage.COMPILE))) == text


def test_a_cell_that_was_not_even_compiled_does_not_say_so(make: Callable[..., Record]) -> None:
    assert str(cell_text(make(Status.NOT_RUN, stage=Stage.CAPTURE))) == "\u2013 not run"


def test_a_wrong_cell_says_first_bad_layer_with_its_type_and_worst_group(make_wrong: Callable[..., Record]) -> None:
    assert str(cell_text(make_wrong())) == "✗ wrong: model.10 (C2PSA), scores (visible)"


def test_a_first_bad_layer_without_figures_has_no_type(make_wrong: Callable[..., Record]) -> None:
    assert str(cell_text(make_wrong(layers=[]))) == "✗ wrong: model.10, scores (visible)"


def test_a_wrong_minimal_case_names_the_group_alone(make_wrong: Callable[..., Record]) -> None:
    assert str(cell_text(make_wrong(first_bad_layer=None))) == "✗ wrong: scores (visible)"


def test_a_long_signature_of_many_lines_is_one_short_line(make: Callable[..., Record]) -> None:
    text = str(cell_text(make(Status.ERROR, signature="RuntimeError:\n\x1b[31m" + "x" * 500)))
    assert text.isprintable()
    assert len(text) < 70
    assert text.endswith("…")


def test_totals_name_every_status_and_not_tested_last() -> None:
    statuses = ["not_tested", "wrong", "pass", "wrong", "not_run"]
    assert totals(statuses) == "5 cells: 1 pass, 2 wrong, 1 not run, 1 not tested"
    assert totals(["pass"]) == "1 cell: 1 pass"
    assert totals([]) == "0 cells"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.9312, "0.931"),
        (4.0, "4"),
        (1240.4, "1,240"),
        (31234567.0, "3.1e+07"),
        (float("inf"), "∞"),
        (float("-inf"), "-∞"),
        (float("nan"), "NaN"),
    ],
)
def test_ratios_are_short(value: float, text: str) -> None:
    assert ratio(value) == text


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [(0, 0, "\u2013"), (0, 5, "0.0 %"), (1999, 2000, "99.9 %"), (2000, 2000, "100.0 %"), (447, 1000, "44.7 %")],
)
def test_only_all_is_100_percent_and_a_share_of_none_is_no_share(part: int, whole: int, text: str) -> None:
    assert share(part, whole) == text


def test_an_unknown_precision_is_not_zero() -> None:
    assert (precision(None), precision(0.0)) == ("no labels", "0.000")


def test_releases_are_in_the_order_of_their_numbers() -> None:
    assert sorted(["2.29.1", "2.9.0", "2.29.0"], key=natural) == ["2.9.0", "2.29.0", "2.29.1"]


def test_one_line_keeps_words_apart() -> None:
    assert one_line(" a\nb\x1b\tc ") == "a b c"


def test_a_pass_with_a_layer_that_is_wrong_when_tapped_says_so(make: Callable[..., Record]) -> None:
    record = make(first_bad_layer="model.10")
    assert str(cell_text(record)) == "✓ pass: but tapped model.10 is wrong"
