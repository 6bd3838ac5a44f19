"""YOLO12, from the YAML inside ultralytics, with three ways to compute its area attention."""

from __future__ import annotations

from conformance.core.groups import Group
from conformance.systems.base import BaseSystem
from conformance.systems.detectors import ATTENTION_TASKS, BOXES, SCORES


class Yolo12(BaseSystem):
    """Detection: (B, 3, H, W) images to (B, 84, anchors), 4 box rows in pixels and 80 class scores.

    `detect` is ultralytics' own module, matmul and softmax; the other tasks replace its attention, not its weights.
    """

    name = "yolo12"
    variants = ("n", "s", "m", "l", "x")
    tasks = tuple(ATTENTION_TASKS)
    licence = "AGPL-3.0 (ultralytics)"
    needs = {"ultralytics": "yolo"}
    builder = "conformance.systems.building.yolo12"
    takes_weights = True

    def layers(self, variant: str, task: str) -> tuple[str, ...]:
        """The blocks of the YAML file; model.6 and model.8 hold the area attention, model.21 is the head. What is
        wrong with an attention hardly shows beside the rounding of its block: each is a layer of its own."""
        pairs = 4 if variant in ("l", "x") else 2
        attention = {
            block: [f"model.{block}.m.{pair}.{index}.attn" for pair in range(pairs) for index in (0, 1)]
            for block in (6, 8)
        }
        return tuple(path for block in range(22) for path in (*attention.get(block, ()), f"model.{block}"))

    def groups(self, variant: str, task: str) -> tuple[Group, ...]:
        """The same for every attention."""
        return (BOXES, SCORES)
