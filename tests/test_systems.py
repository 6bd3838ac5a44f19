"""Every system there is, its smallest variant and all its tasks: built without network, whole, and alive."""

from __future__ import annotations

import socket
from itertools import product

import pytest
import torch
from cells import cell

from conformance.programs.program import tensors
from conformance.running.comparison import ReferenceModel
from conformance.selection.select import Request, select
from conformance.systems.loading import load_system, system_names
from conformance.systems.yolov9 import Yolov9

MODELS = [(name, load_system(name).variants[0], task) for name in system_names() for task in load_system(name).tasks]
# Ranked on the device: one candidate more or less is another row altogether.
RANKED = {("yolo26", "detect-end2end"), ("yolov9", "detect-end2end")}


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*address: object) -> None:
        raise OSError("no network in this test")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


# YOLO26 for detection and a Faster R-CNN are tried with every other test, all others with `make test-slow`.
FIRST = {("yolo26", "n", "detect"), ("fasterrcnn", "mobilenet", "backbone")}


@pytest.mark.parametrize(
    ("name", "variant", "task"),
    [pytest.param(*one, marks=[] if one in FIRST else pytest.mark.slow, id="-".join(one)) for one in MODELS],
)
def test_it_is_what_it_says_and_can_tell_right_from_wrong(name: str, variant: str, task: str) -> None:
    system = load_system(name)
    if reason := system.missing():
        pytest.skip(reason)
    model = system.build(variant, task)
    assert model.key == system.build(variant, task).key
    assert model.layers == system.layers(variant, task)
    assert len(set(model.layers)) == len(model.layers) > 0
    assert sum(p.numel() for p in model.module.parameters()) <= system.parameters(variant, task), (
        "fused, or with fewer heads"
    )

    case = cell(name, variant, task, 2, 320, 320, "float32", target="")
    reference_model = ReferenceModel(system, model, case.subject)
    groups = system.groups(variant, task) or ()
    outputs = tensors(reference_model.module(*reference_model.inputs))
    assert sum(group.of(outputs).numel() for group in groups) == sum(output.numel() for output in outputs)
    for group in groups:
        first, second = group.of(outputs)
        assert first.isfinite().all(), f"{group.name}: images alike"
        assert not torch.allclose(first, second, rtol=1e-3), f"{group.name}: images alike"
    for path in model.layers:
        assert reference_model.golden.results[path], f"{path} never runs"

    found = reference_model.conditioning(("float32", "bfloat16"))
    assert found["float32"].ratio > 1000, f"{found['float32']}"
    assert found["bfloat16"].sufficient or (name, task) in RANKED, f"{found['bfloat16']}"


def test_the_full_profile_has_every_model_of_every_system() -> None:
    cases = select(Request("full")).models
    assert {(c.subject.system, c.subject.variant, c.subject.task) for c in cases} == {
        (name, variant, task)
        for name in system_names()
        for variant, task in product(load_system(name).variants, load_system(name).tasks)
    }


def test_the_systems_profile_has_every_task_of_every_system() -> None:
    assert {(c.subject.system, c.subject.variant, c.subject.task) for c in select(Request("systems")).models} == set(
        MODELS
    )


@pytest.mark.slow
@pytest.mark.parametrize("task", Yolov9.tasks)
def test_trained_weights_of_yolov9_detect(task: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its seeded weights stand in for a user's."""
    ultralytics = pytest.importorskip("conformance.systems.building.ultralytics_models")
    monkeypatch.setattr(ultralytics, "_filled", lambda architecture, weights: ultralytics._calibrated(architecture))
    assert Yolov9().build("t", task).detector is None
    assert Yolov9().build("t", task, "mine.pt").detector == ("rows" if task == "detect-end2end" else "cells")
