"""Faster R-CNN in stages, built from torchvision (BSD-3-Clause; optional)."""

from __future__ import annotations

from conformance.core.groups import Group
from conformance.systems.base import BaseSystem

# The blocks of the four stages of a ResNet.
BLOCKS = {"r50": (3, 4, 6, 3), "r101": (3, 4, 23, 3)}


class FasterRcnn(BaseSystem):
    """MobileNetV3-large, ResNet-50 and ResNet-101, with a feature pyramid; a task for each part that is compiled.

    Outputs are flat and batch first: feature maps (B, 256, h, w), objectness logits and box deltas of every level;
    class logits (B, 1000, 91) and box regressions (B, 1000, 364) of the box head.
    """

    name = "fasterrcnn"
    variants = ("mobilenet", "r50", "r101")
    tasks = ("backbone", "rpn-head", "backbone-rpn", "box-head")
    licence = "BSD-3-Clause (torchvision)"
    needs = {"torchvision": "rcnn", "ultralytics": "yolo"}  # this one for its photographs
    builder = "conformance.systems.building.fasterrcnn"

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


def levels(variant: str) -> tuple[str, ...]:
    """The feature maps by the names torchvision gives them, finest first."""
    return ("0", "1", "pool") if variant == "mobilenet" else ("0", "1", "2", "3", "pool")


def _body(variant: str) -> list[str]:
    """The blocks of the body; of a ResNet's stem, only what its in-place ReLU does not write into."""
    if variant == "mobilenet":
        return [str(block) for block in range(17)]
    stages = enumerate(BLOCKS[variant], start=1)
    return ["maxpool", *(f"layer{stage}.{block}" for stage, count in stages for block in range(count))]
