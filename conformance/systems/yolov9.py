"""YOLOv9, from the YAML files inside ultralytics: the head that needs suppression, and one that needs none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.cases.case import Subject
from conformance.registry import missing_packages
from conformance.systems.groups import BOXES, RANKED, SCORES
from conformance.systems.protocol import Group, Model

if TYPE_CHECKING:
    from torch import Tensor

    from conformance.systems.ultralytics_models import Architecture


class Yolov9:
    """(B, 3, H, W) images. `detect` gives (B, 84, anchors), 4 box rows in pixels and 80 class scores;
    `detect-end2end`, with a one-to-one head beside it, (B, 300, 6), ranked on the device."""

    name = "yolov9"
    variants = ("t", "s", "m", "c", "e")
    tasks = ("detect", "detect-end2end")
    licence = "AGPL-3.0 (ultralytics)"

    def missing(self) -> str | None:
        """What to install where ultralytics is not."""
        return missing_packages({"ultralytics": "yolo"}, self.name)

    def stride(self, task: str) -> int:
        """That of the coarsest scale."""
        return 32

    def layers(self, variant: str, task: str) -> tuple[str, ...]:
        """The blocks of the YAML file; the last is the head."""
        return tuple(f"model.{index}" for index in range(43 if variant == "e" else 23))

    def groups(self, variant: str, task: str) -> tuple[Group, ...]:
        """Boxes and scores, or of ranked rows classes, too."""
        return RANKED if task == "detect-end2end" else (BOXES, SCORES)

    def build(self, variant: str, task: str, weights: str | None = None) -> Model:
        """One head, fused."""
        from conformance.systems.ultralytics_models import build

        ranked = task == "detect-end2end"
        module, key = build(_architecture(variant, task), ranked, weights)
        rows, detector = ((0,), "rows") if ranked else ((), "cells")
        return Model(
            module, self.layers(variant, task), key, rows, detector=detector if weights is not None else None
        )

    def parameters(self, variant: str, task: str) -> int:
        """With all its heads."""
        from conformance.systems.ultralytics_models import parameters

        return parameters(_architecture(variant, task))

    def inputs(self, subject: Subject, index: int) -> tuple[Tensor, ...]:
        """Crops of photographs, or scenes for weights that were trained on them, (B, 3, H, W) float32 in 0..1."""
        from conformance.systems.images import images

        return images(subject, index)


def _architecture(variant: str, task: str) -> Architecture:
    from conformance.systems.ultralytics_models import Architecture

    return Architecture(f"yolov9{variant}.yaml", one_to_one=task == "detect-end2end")
