"""Faster R-CNN in stages, from torchvision."""

from __future__ import annotations

import copy
from functools import lru_cache
from importlib.metadata import version
from typing import Any

import torch
from torch import Tensor

from conformance.cases.case import Subject
from conformance.core.store import digest
from conformance.systems.building.calibration import give_weights, is_graph_only
from conformance.systems.building.fasterrcnn_stages import calibrate, construct, photographs, pooled_regions, stage
from conformance.systems.fasterrcnn import FasterRcnn, levels
from conformance.systems.protocol import Model

SEED = 0
# Raise this when the construction or calibration of weights changes: it is part of their name in the cache.
RECIPE = 1


def build(variant: str, task: str, weights: str | None) -> Model:
    """One stage of the whole model. The box head is for 1000 regions an image."""
    whole, key = calibrated_stages(variant)
    module = copy.deepcopy(stage(whole, task, len(levels(variant))).eval())
    return Model(module, FasterRcnn().layers(variant, task), digest({"weights": key, "task": task}))


def parameters(variant: str, task: str) -> int:
    """Of the part that is compiled."""
    part = stage(construct(variant, SEED), task, len(levels(variant)))
    return sum(parameter.numel() for parameter in part.parameters())


def inputs(subject: Subject, index: int) -> tuple[Tensor, ...]:
    """What the stage is given by the stages before it, computed in float64: normalised crops of photographs,
    their feature maps, or 1000 pooled regions an image."""
    assert subject.height is not None
    assert subject.width is not None
    images = photographs(subject.batch, subject.height, subject.width, index)
    if subject.task in ("backbone", "backbone-rpn"):
        return (images,)
    exact = copy.deepcopy(calibrated_stages(subject.variant)[0]).double()
    if subject.task == "box-head":
        return (pooled_regions(exact, images.double()),)
    with torch.no_grad():
        return tuple(feature.float() for feature in exact.backbone(images.double()).values())


def calibrated_stages(variant: str) -> tuple[Any, str]:
    """The whole model with seeded and calibrated weights, not to be changed, and the name of these weights."""
    return _whole(variant, is_graph_only())


@lru_cache(maxsize=1)
def _whole(variant: str, _graph_only: bool) -> tuple[Any, str]:
    made_from = {"system": FasterRcnn.name, "variant": variant, "seed": SEED, "recipe": RECIPE}
    made_from |= {name: version(name) for name in ("torchvision", "ultralytics", "torch")}
    model = construct(variant, SEED)
    return model, give_weights(model, made_from, f"fasterrcnn-{variant}", calibrate)
