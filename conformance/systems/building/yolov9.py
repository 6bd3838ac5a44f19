"""YOLOv9, from the YAML files inside ultralytics."""

from __future__ import annotations

from conformance.systems.building import ultralytics_models
from conformance.systems.building.images import images as inputs
from conformance.systems.building.ultralytics_models import Architecture
from conformance.systems.protocol import Model
from conformance.systems.yolov9 import Yolov9

__all__ = ["build", "inputs", "parameters"]


def build(variant: str, task: str, weights: str | None) -> Model:
    """One head, fused."""
    architecture = _architecture(variant, task)
    return ultralytics_models.detector(architecture, Yolov9().layers(variant, task), architecture.one_to_one, weights)


def parameters(variant: str, task: str) -> int:
    """With all its heads."""
    return ultralytics_models.parameters(_architecture(variant, task))


def _architecture(variant: str, task: str) -> Architecture:
    return Architecture(f"yolov9{variant}.yaml", one_to_one=task == "detect-end2end")
