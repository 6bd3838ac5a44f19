"""Limits from records: one rule, of answers that are right alone; and what is written is what is read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from cells import like
from test_records import record
from typer.testing import CliRunner

from conformance.cases.outcome import Aspect, Check, ImageFigures, LayerFigures, Record, Status
from conformance.commands.cli import app
from conformance.compare import calibration, limits
from conformance.compare.calibration import as_toml, measured
from conformance.compare.evidence import LimitEvidence, Ratios, as_json, left_out, limit_of
from conformance.compare.limits import Limit
from conformance.core.errors import UserError
from conformance.core.reading import read_json, read_toml
from conformance.results.records import RecordWriter


def figures(ratio: float) -> ImageFigures:
    return ImageFigures(noise_ratio=ratio, rel_l2=1e-6, cosine=1)


def made(ratios: Sequence[float], target: str = "openvino", in_place: Sequence[float] = (), **changes: Any) -> Record:
    group = (
        record()
        .groups["boxes"]
        .model_copy(update={"per_image": [figures(ratio) for ratio in ratios], "noise_ratio": max(ratios)})
    )
    layer = LayerFigures(path="stem", type="Conv", how="in_place", noise_ratio=1, cosine=1, bad=False,
                         per_image=[figures(ratio) for ratio in in_place])  # fmt: skip
    update = {"groups": {"boxes": group}, "layers": [layer], "target": target, "environment": {target: "1.2"}}
    return like(record(), **update | changes)


def largest(ratios: Sequence[Ratios]) -> float:
    return max(one.largest for one in ratios)


def calibrated(records: Sequence[Record]) -> dict[str, Limit]:
    return calibration.calibrated(measured(records, "here"))


def test_limit_is_twice_the_largest_healthy_ratio_rounded_up() -> None:
    found = calibrated([made([0.5, 1.6], in_place=[0.9, 2.1]), made([0.8], layer="stem")])["float32"]
    assert (found.outputs, found.in_place, found.isolated, found.floor) == (4, 5, 2, 2.0**-24)
    assert found.healthy.outputs.model_dump() == {"count": 2, "median": 0.5, "p95": 1.6, "largest": 1.6}
    assert found.healthy.isolated
    assert found.healthy.isolated.count == 1
    assert found.faulty is None
    assert found.healthy.in_place
    assert found.healthy.in_place.count == 2


def test_limit_says_which_compilers_and_models_it_is_of() -> None:
    other = made([1.0], "onnxruntime", system="yolo12", environment={"onnxruntime": "1.3", "torch": "2.13.0"})
    found = calibrated([made([1.0]), other, made([1.0])])["float32"]
    assert found.healthy.by == "onnxruntime 1.3, openvino 1.2; 3 cases of toy, yolo12"


def test_every_dtype_has_limits_of_its_own() -> None:
    found = calibrated([made([1.0]), made([2.2], dtype="bfloat16")])
    assert {dtype: limit.outputs for dtype, limit in found.items()} == {"float32": 2, "bfloat16": 5}
    assert found["bfloat16"].floor == 2.0**-9


@pytest.mark.parametrize(
    "changes",
    [
        {"target": "xla"},  # as Neuron has it, without a workaround
        {"target": "emulator", "emulated": True},
        {"target": "mine"},
        {"target": "xla", "workarounds": ["slice"], "dtype": "float16"},
        {"defects": ["split-with-sizes"]},
        {"status": Status.NOT_JUDGED},
        {"task": ""},  # a minimal case
    ],
    ids=str,
)
def test_what_may_be_wrong_is_not_counted(changes: dict[str, Any]) -> None:
    found = calibrated([made([1.0]), made([50.0], **changes)])
    assert list(found) == ["float32"]
    assert found["float32"].outputs == 2
    assert found["float32"].healthy.outputs.count == 1


def test_front_end_with_a_workaround_counts_and_without_is_the_fault() -> None:
    wrong = made([300.0, 900.5], target="xla", defects=["split-with-sizes"])
    right = made([2.0], target="xla", workarounds=["slice"])
    found = calibrated([wrong, right])["float32"]
    assert found.outputs == 4
    assert found.faulty is not None
    assert found.faulty.smallest == 900


def test_nothing_to_measure_and_what_cannot_be_right_are_one_line() -> None:
    with pytest.raises(UserError, match="no figures of openvino, onnxruntime, inductor"):
        calibrated([made([1.0], target="emulator", emulated=True)])
    with pytest.raises(UserError, match=r"^a healthy answer is not finite, .* leave out "):
        calibrated([made([1.0, float("inf")])])


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    fault = made([3.0], target="xla", defects=["split-with-sizes"])
    evidence = measured([made([1.0], in_place=[1.1]), fault, made([2.0], dtype="all-bf16")], "here")
    found = calibration.calibrated(evidence)
    (tmp_path / "limits.toml").write_text(as_toml(found))
    (tmp_path / "limits.json").write_text(as_json(evidence))
    assert read_toml(tmp_path / "limits.toml", limits._Table).root == found
    assert read_json(tmp_path / "limits.json", LimitEvidence) == evidence


def test_other_images_count_with_the_largest_ratio_of_their_call() -> None:
    second = Check(of=Aspect.MODEL, status=Status.PASS, call=2, noise_ratio=2.4)
    again = Check(of=Aspect.MODEL, status=Status.PASS, call=3, noise_ratio=9.0)
    found = calibrated([made([0.5, 1.6], checks=[second, again])])["float32"]
    assert (found.outputs, found.healthy.outputs.count) == (5, 3)


def test_limit_without_a_system_judges_what_was_left_out() -> None:
    records = [
        made([1.0], system="a"),
        made([1.2, 2.7], system="b"),
        made([1.1], system="b", target="onnxruntime", environment={"onnxruntime": "1"}),
    ]
    ratios = measured(records, "here").of("float32", "outputs")
    assert limit_of(largest(ratios)) == 6
    by_system = {part.name: part for part in left_out(ratios, lambda one: one.system)}
    assert (by_system["a"].limit, by_system["a"].cases, by_system["a"].alarms) == (6, 1, 0)
    assert (by_system["b"].limit, by_system["b"].cases, by_system["b"].alarms) == (2, 2, 1)
    by_compiler = {part.name: (part.limit, part.alarms) for part in left_out(ratios, lambda one: one.target)}
    assert by_compiler == {"onnxruntime": (6, 0), "openvino": (3, 0)}
    assert left_out(ratios[:1], lambda one: one.system) == [], "there is nothing left to judge by"


def test_suspect_is_refused_until_it_is_trusted() -> None:
    records = [made([1.0]), made([50.0], id="suspect", status=Status.WRONG)]
    with pytest.raises(UserError, match=r"^suspect should be right and is wrong, and no known defect explains it"):
        measured(records, "here")
    assert limit_of(largest(measured(records, "here", ["sus*"]).healthy)) == 100
    explained = made([50.0], status=Status.WRONG, target="xla", defects=["split-with-sizes"])
    assert limit_of(largest(measured([records[0], explained], "here").healthy)) == 2


def test_dtypes_that_this_machine_lacks_keep_what_they_were_measured_on() -> None:
    now = limits.limit("bfloat16")
    evidence = measured([made([1.0]), made([0.1], dtype="bfloat16")], "here", kept=["bfloat16", "all-bf16"])
    found = calibration.calibrated(evidence)
    assert {dtype: one.outputs for dtype, one in found.items()} == {
        "float32": 2, "bfloat16": now.outputs, "all-bf16": limits.limit("all-bf16").outputs,
    }  # fmt: skip
    assert found["bfloat16"].healthy.by == f"openvino 1.2; 1 cases of toy; earlier {now.healthy.by}"
    larger = made([now.healthy.outputs.largest + 1], dtype="bfloat16")
    assert calibration.calibrated(measured([larger], "here", kept=["bfloat16"]))["bfloat16"].outputs > now.outputs
    with pytest.raises(UserError, match="dtype 'float8' cannot be judged yet"):
        measured([made([1.0])], "here", kept=["float8"])


def test_command_says_what_it_measured_and_writes_only_when_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, path = tmp_path / "records", tmp_path / "limits.toml"
    RecordWriter(folder / "a.jsonl").write(made([1.0]))
    monkeypatch.setattr(limits, "PATH", path)
    monkeypatch.setattr("conformance.core.reading.data_path", lambda *parts: tmp_path.joinpath(*parts))
    options = ["calibrate-limits", "--records", str(folder)]
    shown = CliRunner().invoke(app, options)
    assert shown.exit_code == 0
    assert "outputs = 2.0" in shown.stdout
    assert not path.exists()
    written = CliRunner().invoke(app, [*options, "--write"])
    assert path.read_text() == written.stdout == shown.stdout
    assert read_json(tmp_path / "published" / "limits.json", LimitEvidence).of("float32", "outputs")[0].ratios == {
        100: 1
    }
    assert (
        "| float32 | outputs of whole models | 2 | 1 | 1.0 | 1.0 | 1.0 |"
        in (tmp_path / "published" / "limits.md").read_text()
    )
    RecordWriter(folder / "b.jsonl").write(made([99.0], id="suspect", status=Status.WRONG))
    refused = CliRunner().invoke(app, options)
    assert refused.exit_code == 2
    assert refused.stderr.startswith("error: suspect should be right and is wrong")
    assert CliRunner().invoke(app, [*options, "--trust", "suspect"]).exit_code == 0
    empty = CliRunner().invoke(app, ["calibrate-limits", "--records", str(tmp_path / "none")])
    assert empty.exit_code == 2
    assert empty.stderr.startswith("error: ")
    assert empty.stderr.count("\n") == 1
