"""Planted faults, one for every verdict: each must turn red, and a healthy target must not."""

from __future__ import annotations

import pytest
import torch
import toys
from cells import changed

from conformance.cases.outcome import Aspect, Outcome, Stage, Status
from conformance.compare import verdict
from conformance.running.pipeline import run_case

STAGES: list[Stage] = []


def judge(target: toys.Planted, layer: str | None = None) -> Outcome:
    STAGES.clear()
    return run_case(changed(toys.CASE, layer=layer), "toys:Toy", target, STAGES.append)


def wrong_images(outcome: Outcome) -> set[int]:
    return {
        place
        for group in outcome.groups.values()
        for place, image in enumerate(group.per_image)
        if not image.noise_ratio <= 5
    }


def test_healthy_target_passes_in_every_figure() -> None:
    outcome = judge(toys.HEALTHY)
    assert outcome.status == Status.PASS
    assert outcome.stage == Stage.COMPARE
    assert outcome.first_bad_layer is None
    assert outcome.signature is None
    assert outcome.defects == []
    assert [layer.path for layer in outcome.layers] == ["stem", "halves", "join", "head"]
    assert all(layer.how == "in_place" and layer.noise_ratio <= 1.01 for layer in outcome.layers)
    assert list(outcome.groups) == ["boxes", "scores"]
    assert outcome.seconds.compile is not None
    assert outcome.seconds.run is not None


@pytest.mark.parametrize(
    ("target", "groups", "images"),
    [
        (toys.ZEROED_SCORES, {"scores"}, {0, 1, 2, 3}),
        (toys.DAMPED_SCORES, {"scores"}, {0, 1, 2, 3}),
        (toys.IMAGE_3, {"boxes", "scores"}, {3}),
        (toys.SWAPPED_CHANNELS, {"boxes"}, {0, 1, 2, 3}),
        (toys.OFF_BY_ONE, {"boxes", "scores"}, {0, 1, 2, 3}),
        (toys.ONE_PERCENT, {"scores"}, {0}),
        (toys.STALE, {"boxes", "scores"}, {0, 1, 2, 3}),
        (toys.DROPPED_OPERATOR, {"boxes", "scores"}, {0, 1, 2, 3}),
    ],
    ids=[
        "zeroed scores",
        "damped scores",
        "image 3",
        "swapped channels",
        "off by one",
        "one percent",
        "stale",
        "dropped op",
    ],
)
def test_fault_is_wrong_in_its_groups_and_images(target: toys.Planted, groups: set[str], images: set[int]) -> None:
    outcome = judge(target)
    assert outcome.status == Status.WRONG
    assert {name for name, group in outcome.groups.items() if group.noise_ratio > 5} == groups
    assert wrong_images(outcome) == images


def test_published_gate_lets_zeroed_scores_pass() -> None:
    gate = judge(toys.ZEROED_SCORES).published_gate
    assert gate is not None
    assert gate.passes
    assert gate.cosine > 0.98


def test_published_gate_asks_for_its_cosine_or_more(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.ones(1, 4)
    monkeypatch.setattr(verdict, "PUBLISHED_COSINE", 1.0)
    assert verdict.published_gate([x], [x]).passes
    assert not verdict.published_gate([x], [x.cumsum(1)]).passes


def test_outputs_without_groups_are_named_by_their_place() -> None:
    x, y = torch.ones(2, 3), torch.zeros(2, 5)
    parts = verdict.split_groups([x, y], verdict.each_output(2), 2)
    assert {name: values.shape[1] for name, values in parts.items()} == {"output.0": 3, "output.1": 5}
    assert [group.name for group in verdict.each_output(1)] == ["output"]


def test_first_bad_layer_is_where_the_operator_was_dropped() -> None:
    assert judge(toys.DROPPED_OPERATOR).first_bad_layer == "stem"


def test_stale_output_of_a_later_call_is_wrong() -> None:
    outcome = judge(toys.STALE_ONCE)
    assert (outcome.status, outcome.signature) == (Status.WRONG, "call 3")
    assert [check.status is Status.PASS for check in outcome.checks] == [True, True, False, True, True]


@pytest.mark.parametrize("target", [toys.ONE_NAN, toys.ONE_INFINITY], ids=["nan", "infinity"])
def test_one_nonfinite_value_is_a_status_of_its_own(target: toys.Planted) -> None:
    assert judge(target).status == Status.NONFINITE


@pytest.mark.parametrize("target", [toys.SHORT, toys.MISSING_OUTPUT], ids=["shape", "count"])
def test_other_shape_or_count_is_wrong_and_says_how(target: toys.Planted) -> None:
    outcome = judge(target)
    assert (outcome.status, outcome.signature) == (Status.MISMATCH, None)
    assert outcome.detail is not None
    assert "instead of" in outcome.detail


def test_layer_that_is_bad_only_in_place_is_named_although_the_outputs_are_right() -> None:
    outcome = judge(toys.ONLY_TAPPED)
    assert (outcome.status, outcome.signature) == (Status.WRONG, "in place")
    assert outcome.first_bad_layer == "join"
    assert not any(group.bad for group in outcome.groups.values())
    assert [(check.of.value, check.status.value) for check in outcome.checks] == [
        *[("model", "pass")] * 4,
        ("in place", "wrong"),
    ]


def test_model_whose_taps_do_not_compile_is_judged_all_the_same() -> None:
    outcome = judge(toys.NO_TAPS)
    assert outcome.status == Status.PASS
    assert outcome.layers == []
    check = outcome.checked(Aspect.IN_PLACE)
    assert check is not None
    assert check.status is Status.NOT_RUN
    assert check.detail == "with all layers tapped: RuntimeError: too many outputs"


def test_compiler_error_carries_its_code_and_stage() -> None:
    outcome = judge(toys.REFUSES)
    assert (outcome.status, outcome.stage, outcome.signature) == (Status.ERROR, Stage.COMPILE, "NCC_EVRF029")
    outcome = judge(toys.RAISES)
    assert (outcome.status, outcome.stage, outcome.signature) == (Status.ERROR, Stage.RUN, "NRT_EXEC_BAD_INPUT")


def test_stages_are_told_before_they_begin() -> None:
    judge(toys.REFUSES)
    assert STAGES == [Stage.CAPTURE, Stage.COMPILE]
    judge(toys.HEALTHY)
    whole = [Stage.COMPILE, *[Stage.RUN] * 4, Stage.COMPARE]
    assert [Stage.CAPTURE, *whole, Stage.COMPILE, Stage.RUN, Stage.COMPARE] == STAGES


def test_isolated_layer_is_fed_with_the_references_inputs() -> None:
    assert judge(toys.HEALTHY, layer="join").status == Status.PASS
    outcome = judge(toys.DROPPED_OPERATOR, layer="stem")
    assert outcome.status == Status.WRONG
    assert outcome.first_bad_layer == "stem"
    assert [(layer.how, layer.bad) for layer in outcome.layers] == [("isolated", True)]
    assert judge(toys.DROPPED_OPERATOR, layer="join").status == Status.PASS, "the fault is in the stem alone"


def test_layer_that_gives_the_outputs_is_judged_by_their_groups() -> None:
    """Boxes in pixels hide what is wrong with scores, in a layer alone as in the whole."""
    case = changed(toys.CASE, layer="net")
    found = run_case(case, "toys:HeadOnly", toys.DAMPED_SCORES, lambda _: None)
    assert {name: group.bad for name, group in found.groups.items()} == {"boxes": False, "scores": True}
    assert [layer.bad for layer in found.layers] == [True]
    assert run_case(case, "toys:HeadOnly", toys.HEALTHY, lambda _: None).status == Status.PASS


@pytest.mark.parametrize(
    ("system", "signature"),
    [("Overflows32", "the CPU's own runs at this dtype"), ("Overflows64", "the reference itself")],
)
def test_what_cannot_be_judged_is_no_pass(system: str, signature: str) -> None:
    """Where the CPU overflows, too, any answer would be within its noise."""
    outcome = run_case(toys.CASE, f"toys:{system}", toys.HEALTHY, lambda _: None)
    assert (outcome.status, outcome.signature) == (Status.NONFINITE, signature)


def test_an_error_of_our_own_is_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("conformance.running.pipeline.judge", lambda *_: 1 / 0)
    outcome = judge(toys.HEALTHY)
    assert (outcome.status, outcome.signature) == (Status.SUITE_ERROR, "ZeroDivisionError")
    assert not outcome.decided
    assert not outcome.failed
    assert outcome.traceback
    assert "pipeline.py" in outcome.traceback
