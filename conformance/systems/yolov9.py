"""YOLOv9, from the YAML files inside ultralytics: the head that needs suppression, and one that needs none."""

from __future__ import annotations

from conformance.core.groups import Group
from conformance.systems.base import BaseSystem
from conformance.systems.detectors import BOXES, RANKED, SCORES


class Yolov9(BaseSystem):
    """(B, 3, H, W) images. `detect` gives (B, 84, anchors), 4 box rows in pixels and 80 class scores;
    `detect-end2end`, with a one-to-one head beside it, (B, 300, 6), ranked on the device."""

    name = "yolov9"
    variants = ("t", "s", "m", "c", "e")
    tasks = ("detect", "detect-end2end")
    licence = "AGPL-3.0 (ultralytics)"
    needs = {"ultralytics": "yolo"}
    builder = "conformance.systems.building.yolov9"
    takes_weights = True

    def layers(self, variant: str, task: str) -> tuple[str, ...]:
        """The blocks of the YAML file; the last is the head."""
        return tuple(f"model.{index}" for index in range(43 if variant == "e" else 23))

    def groups(self, variant: str, task: str) -> tuple[Group, ...]:
        """Boxes and scores, or of ranked rows classes, too."""
        return RANKED if task == "detect-end2end" else (BOXES, SCORES)
