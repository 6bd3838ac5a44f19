"""The catalogue as its users ask for it: by release, by hardware, between two releases."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from conformance.commands.cli import app
from conformance.defects.catalogue import DEFECTS


def asked(*arguments: str) -> Any:
    done = CliRunner().invoke(app, ["defects", "--json", *arguments])
    assert done.exit_code == 0
    return json.loads(done.stdout)


def ids(found: list[dict[str, Any]]) -> set[str]:
    return {one["defect"] for one in found}


def test_whole_catalogue_has_all_that_is_known() -> None:
    found = asked()
    assert [one["defect"] for one in found] == list(DEFECTS)
    (split,) = (one for one in found if one["defect"] == "split-with-sizes")
    assert split["packages"] == {"torch-xla": ">=2.5"}
    assert split["certainty"] == "reproduced"
    assert split["stage"] == "compare"
    assert split["links"][0].startswith("https://")


def test_those_of_a_release_and_of_hardware() -> None:
    assert {"split-with-sizes", "sort-refused", "batch-4-split"} <= ids(
        asked("--sdk", "2.29.1", "--hardware", "inf2")
    )
    assert "batch-4-split" not in ids(asked("--sdk", "2.29.1", "--hardware", "trn2"))
    assert not any("openvino" in name for name in ids(asked("--sdk", "2.29.1")))


def test_what_changed_between_two_releases() -> None:
    found = asked("--between", "2.28", "2.32.0")
    assert "split-with-sizes" in ids(found["still there"])
    assert "sort-refused" in ids(found["gone"])
    assert {"multiply-reduce", "dilated-convolution", "clamp-minus-infinity"} <= ids(found["gone"])
    assert "topk-large" in ids(asked("--between", "2.29.1", "2.31.0")["appeared"])


def test_table_for_people() -> None:
    shown = CliRunner().invoke(app, ["defects", "--sdk", "2.29.1"])
    assert shown.exit_code == 0
    assert "known defects: SDK 2.29.1" in shown.stdout
    assert "split-" in shown.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--sdk", "9.9"), "unknown SDK release '9.9'"),
        (("--between", "2.29.1", "9.9"), "unknown SDK release '9.9'"),
        (("--hardware", "trn9"), "unknown hardware 'trn9'"),
    ],
)
def test_bad_input_is_one_line(arguments: tuple[str, ...], message: str) -> None:
    done = CliRunner().invoke(app, ["defects", *arguments])
    assert done.exit_code == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
