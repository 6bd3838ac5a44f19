"""`conformance systems`: what there is, and whether its weights can tell a wrong answer from rounding."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from toys import Toy
from typer.testing import CliRunner

from conformance.commands.cli import app
from conformance.commands.systems import listed, systems_markdown
from conformance.systems.protocol import Model

RUNNER = CliRunner()
README = Path(__file__).parents[1] / "README.md"


class Dead(Toy):
    """Its last layer gives the same for every image."""

    def build(self, variant: str, task: str) -> Model:
        model = super().build(variant, task)
        model.module.get_parameter("join.weight").zero_()
        return replace(model, key="dead")


def run(*options: str) -> tuple[int, str, str]:
    result = RUNNER.invoke(app, ["systems", *options], env={"COLUMNS": "120"})
    return result.exit_code, result.stdout, result.stderr


def test_every_system_is_listed_whether_or_not_it_can_be_built() -> None:
    code, text, _ = run("--system", "toys:Toy,toys:Absent", "--json")
    toy, absent = json.loads(text)
    assert code == 0
    assert (toy["name"], toy["variants"], toy["missing"]) == ("toy", ["1", "2"], None)
    assert toy["parameters"][0] > 0
    assert toy["groups"] == {"detect": ["boxes", "scores"]}
    assert absent["parameters"] is None
    assert absent["missing"].startswith("absent needs nothing_of_the_kind")


def test_table_says_what_the_outputs_of_every_task_are() -> None:
    toy = next(listed(["toys:Toy"]))
    pyramid = tuple(f"{kind}.{level}" for kind in ("features", "deltas") for level in "01")
    found = replace(toy, groups={**toy.groups, "wide": ("boxes", "scores"), "stage": pyramid})
    table = systems_markdown([found])
    assert "| detect, wide: boxes, scores<br>stage: features, deltas of every scale |" in table


def test_table_says_what_is_missing() -> None:
    code, text, _ = run("--system", "toys:Toy,toys:Absent")
    assert code == 0
    assert "ready" in text
    assert "nothing_of_the_kind" in text


def test_check_is_green_for_live_weights() -> None:
    code, text, progress = run("--check", "--system", "toys:Toy", "--size", "16", "--json")
    assert code == 0
    assert "toy1-detect" in progress
    (model,) = json.loads(text)
    assert set(model["conditioning"]) == {"float32", "bfloat16", "float16", "matmult-bf16", "all-bf16"}
    assert all(found["sufficient"] and found["ratio"] >= 5 for found in model["conditioning"].values())


def test_check_is_red_for_a_dead_layer_and_names_it() -> None:
    code, text, _ = run("--check", "--system", "test_systems_command:Dead", "--size", "16")
    assert code == 1
    assert "0 < 5" in text
    assert "join" in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--system", "yolo62"], "unknown system 'yolo62'"),
        (["--check", "--system", "toys:Absent"], "absent needs nothing_of_the_kind: pip install"),
        (["--check", "--system", "toys:Toy", "--variant", "9"], "unknown toys:Toy variant '9' (known: 1, 2)"),
        (["--check", "--system", "toys:Toy", "--task", "drive"], "unknown toys:Toy task 'drive'"),
        (["--check", "--system", "toys:Toy", "--size", "20"], "size 20 is not divisible by 8"),
    ],
)
def test_bad_input_is_one_line(options: list[str], message: str) -> None:
    code, text, error = run(*options)
    assert (code, text) == (2, "")
    assert error.startswith(f"error: {message}")
    assert error.count("\n") == 1


@pytest.mark.slow
def test_readme_has_the_table_of_all_systems() -> None:
    found = list(listed())
    if missing := [system.missing for system in found if system.missing]:
        pytest.skip(missing[0])
    table = systems_markdown(found)
    assert table in README.read_text(), "put the output of `conformance systems --markdown` there"
