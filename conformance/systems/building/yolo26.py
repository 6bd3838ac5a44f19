"""YOLO26, from the YAML files inside ultralytics."""

from __future__ import annotations

from conformance.systems.building import ultralytics_models
from conformance.systems.building.images import images as inputs
from conformance.systems.building.ultralytics_models import Architecture
from conformance.systems.protocol import Model
from conformance.systems.yolo26 import TASKS, Yolo26

__all__ = ["build", "inputs", "parameters"]


def build(variant: str, task: str, weights: str | None) -> Model:
    """One head, fused."""
    architecture, layers = _architecture(variant, task), Yolo26().layers(variant, task)
    return ultralytics_models.detector(architecture, layers, TASKS[task].end2end, weights, task.startswith("detect"))


def parameters(variant: str, task: str) -> int:
    """With both heads."""
    return ultralytics_models.parameters(_architecture(variant, task))


def _architecture(variant: str, task: str) -> Architecture:
    wanted = TASKS[task]
    return Architecture(f"yolo26{variant}{wanted.suffix}.yaml", wanted.kind, wanted.classes)
