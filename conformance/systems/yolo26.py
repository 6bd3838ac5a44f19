"""YOLO26: detection with three and with four scales, pose, oriented boxes, segmentation, classification."""

from __future__ import annotations

from dataclasses import dataclass

from conformance.core.groups import Group
from conformance.systems.base import BaseSystem
from conformance.systems.detectors import BOXES, RANKED, SCORES


@dataclass(frozen=True)
class Task:
    """What a task adds to the name of the YAML file, its number of blocks, and what its outputs mean."""

    suffix: str = ""
    kind: str = "DetectionModel"
    blocks: int = 24
    groups: tuple[Group, ...] = (BOXES, SCORES)
    stride: int = 32
    classes: int | None = 80
    end2end: bool = False


TASKS = {
    "detect": Task(),
    "detect-p2": Task("-p2", blocks=30),
    "detect-p6": Task("-p6", blocks=32, stride=64),
    "detect-end2end": Task(groups=RANKED, end2end=True),
    "pose": Task(
        "-pose",
        "PoseModel",
        groups=(BOXES, Group("scores", start=4, stop=-51), Group("keypoints", start=-51)),
        classes=1,
    ),
    "obb": Task("-obb", "OBBModel", groups=(BOXES, Group("scores", start=4, stop=-1), Group("angle", start=-1))),
    "segment": Task(
        "-seg",
        "SegmentationModel",
        groups=(
            BOXES,
            Group("scores", start=4, stop=-32),
            Group("mask coefficients", start=-32),
            Group("protos", output=1),
        ),
    ),
    "classify": Task(
        "-cls",
        "ClassificationModel",
        blocks=11,
        groups=(Group("probabilities"), Group("logits", output=1)),
        classes=1000,
    ),
}


class Yolo26(BaseSystem):
    """(B, 3, H, W) images. `detect` gives (B, 84, anchors), 4 box rows in pixels and 80 class scores, the ranking
    and suppression left to the CPU as in the published port; `detect-end2end` (B, 300, 6), ranked on the device."""

    name = "yolo26"
    variants = ("n", "s", "m", "l", "x")
    tasks = tuple(TASKS)
    licence = "AGPL-3.0 (ultralytics)"
    needs = {"ultralytics": "yolo"}
    builder = "conformance.systems.building.yolo26"
    takes_weights = True

    def stride(self, task: str) -> int:
        """That of the coarsest scale."""
        return TASKS[task].stride

    def layers(self, variant: str, task: str) -> tuple[str, ...]:
        """The blocks of the YAML file; in `detect`, model.10 is C2PSA and model.23 the head."""
        return tuple(f"model.{index}" for index in range(TASKS[task].blocks))

    def groups(self, variant: str, task: str) -> tuple[Group, ...]:
        """By task; see `TASKS`."""
        return TASKS[task].groups
