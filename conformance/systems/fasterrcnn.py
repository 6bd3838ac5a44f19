"""Faster R-CNN in stages, built from torchvision (BSD-3-Clause; optional)."""

from __future__ import annotations

import copy
from functools import lru_cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from conformance.cases.case import Subject
from conformance.registry import missing_packages
from conformance.systems.protocol import Group, Model

if TYPE_CHECKING:
    from torch import Tensor

SEED = 0
# Raise this when the construction or calibration of weights changes: it is part of their name in the cache.
RECIPE = 1
# The blocks of the four stages of a ResNet.
BLOCKS = {"r50": (3, 4, 6, 3), "r101": (3, 4, 23, 3)}


class FasterRcnn:
    """MobileNetV3-large, ResNet-50 and ResNet-101, with a feature pyramid; a task for each part that is compiled.

    Outputs are flat and batch first: feature maps (B, 256, h, w), objectness logits and box deltas of every level;
    class logits (B, 1000, 91) and box regressions (B, 1000, 364) of the box head.
    """

    name = "fasterrcnn"
    variants = ("mobilenet", "r50", "r101")
    tasks = ("backbone", "rpn-head", "backbone-rpn", "box-head")
    licence = "BSD-3-Clause (torchvision)"

    def missing(self) -> str | None:
        """What to install where torchvision or the photographs are not."""
        return missing_packages({"torchvision": "rcnn", "ultralytics": "yolo"}, self.name)

    def stride(self, task: str) -> int:
        """Of the last block; torchvision pads images to a multiple of it."""
        return 32

    def layers(self, variant: str, task: str) -> tuple[str, ...]:
        """Blocks of the body, convolutions of the pyramid; convolutions of each level; fully connected layers."""
        if task == "box-head":
            return ("fc6", "fc7", "cls_score", "bbox_pred")
        layers: list[str] = []
        if task != "rpn-head":
            layers += [f"backbone.body.{block}" for block in _body(variant)]
            layers += [
                f"backbone.fpn.{kind}_blocks.{level}"
                for level in reversed(range(len(levels(variant)) - 1))
                for kind in ("inner", "layer")
            ]
        if task != "backbone":
            head = "" if task == "rpn-head" else "rpn_head."
            layers += [
                f"{head}levels.{level}.{name}"
                for level in range(len(levels(variant)))
                for name in ("conv", "cls_logits", "bbox_pred")
            ]
        return tuple(layers)

    def groups(self, variant: str, task: str) -> tuple[Group, ...]:
        """One for each output."""
        kinds = {
            "backbone": ("features",),
            "rpn-head": ("objectness", "deltas"),
            "backbone-rpn": ("features", "objectness", "deltas"),
        }
        names = [f"{kind}.{level}" for kind in kinds.get(task, ()) for level in levels(variant)]
        return tuple(Group(name, output) for output, name in enumerate(names or ("classes", "boxes")))

    def build(self, variant: str, task: str) -> Model:
        """One stage of the whole model. The box head is for 1000 regions an image."""
        from conformance.store import digest
        from conformance.systems.fasterrcnn_stages import stage

        whole, weights = calibrated(variant)
        module = copy.deepcopy(stage(whole, task, len(levels(variant))).eval())
        key = digest({"weights": weights, "task": task})
        return Model(module, self.layers(variant, task), key)

    def parameters(self, variant: str, task: str) -> int:
        """Of the part that is compiled."""
        from conformance.systems.fasterrcnn_stages import construct, stage

        part = stage(construct(variant, SEED), task, len(levels(variant)))
        return sum(parameter.numel() for parameter in part.parameters())

    def inputs(self, subject: Subject, index: int) -> tuple[Tensor, ...]:
        """What the stage is given by the stages before it, computed in float64: normalised crops of photographs,
        their feature maps, or 1000 pooled regions an image."""
        import torch

        from conformance.systems.fasterrcnn_stages import photographs, pooled_regions

        assert subject.height is not None and subject.width is not None
        images = photographs(subject.batch, subject.height, subject.width, index)
        if subject.task in ("backbone", "backbone-rpn"):
            return (images,)
        exact = copy.deepcopy(calibrated(subject.variant)[0]).double()
        if subject.task == "box-head":
            return (pooled_regions(exact, images.double()),)
        with torch.no_grad():
            return tuple(feature.float() for feature in exact.backbone(images.double()).values())


def levels(variant: str) -> tuple[str, ...]:
    """The feature maps by the names torchvision gives them, finest first."""
    return ("0", "1", "pool") if variant == "mobilenet" else ("0", "1", "2", "3", "pool")


def calibrated(variant: str) -> tuple[Any, str]:
    """The whole model with seeded and calibrated weights, not to be changed, and the name of these weights."""
    from conformance.systems.calibration import is_graph_only

    return _whole(variant, is_graph_only())


@lru_cache(maxsize=1)
def _whole(variant: str, _graph_only: bool) -> tuple[Any, str]:
    from conformance.systems.calibration import give_weights
    from conformance.systems.fasterrcnn_stages import calibrate, construct

    made_from = {"system": FasterRcnn.name, "variant": variant, "seed": SEED, "recipe": RECIPE}
    made_from |= {name: version(name) for name in ("torchvision", "ultralytics", "torch")}
    model = construct(variant, SEED)
    return model, give_weights(model, made_from, f"fasterrcnn-{variant}", calibrate)


def _body(variant: str) -> list[str]:
    """The blocks of the body; of a ResNet's stem, only what its in-place ReLU does not write into."""
    if variant == "mobilenet":
        return [str(block) for block in range(17)]
    stages = enumerate(BLOCKS[variant], start=1)
    return ["maxpool", *(f"layer{stage}.{block}" for stage, count in stages for block in range(count))]
