"""YOLOv13, our own network (`conformance.models.yolov13`), with three ways to compute its area attention."""

from __future__ import annotations

from conformance.core.groups import Group
from conformance.systems.base import BaseSystem
from conformance.systems.detectors import ATTENTION_TASKS, BOXES, SCORES

LAYERS = (
    "down1", "down2", "stage2", "down3", "stage3", "down4", "stage4", "down5", "stage5",
    "hyperace.fusion", "hyperace.high.0", "hyperace.high.1", "hyperace.low", "hyperace",
    "spread3", "spread4", "spread5", "into_neck3", "into_neck4", "into_neck5",
    "up4", "in_neck4", "up3", "into_head3", "neck4", "into_head4", "neck5", "into_head5",
    "head.scales.0", "head.scales.1", "head.scales.2", "head",
)  # fmt: skip


class YoloV13(BaseSystem):
    """Detection: (B, 3, H, W) images to (B, 84, anchors), 4 box rows in pixels and 80 class scores."""

    name = "yolov13"
    variants = ("n", "s", "l", "x")
    tasks = tuple(ATTENTION_TASKS)
    licence = "Apache-2.0 (photographs from ultralytics)"
    needs = {"ultralytics": "yolo"}
    builder = "conformance.systems.building.yolov13"

    def layers(self, variant: str, task: str) -> tuple[str, ...]:
        """The stages, HyperACE and its branches, the tunnels, the head and its scales. What is wrong with an
        attention hardly shows beside the rounding of its stage: each is a layer of its own."""
        pairs = 4 if variant in ("l", "x") else 2
        attention = {
            stage: [f"{stage}.chain.{pair}.{index}.attention" for pair in range(pairs) for index in (0, 1)]
            for stage in ("stage4", "stage5")
        }
        return tuple(path for layer in LAYERS for path in (*attention.get(layer, ()), layer))

    def groups(self, variant: str, task: str) -> tuple[Group, ...]:
        """The same for every attention."""
        return (BOXES, SCORES)
