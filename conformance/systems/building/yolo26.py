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
    wanted = TASKS[task]
    module, key = ultralytics_models.build(_architecture(variant, task), wanted.end2end, weights)
    rows, detector = ((0,), "rows") if wanted.end2end else ((), "cells")
    detects = weights is not None and task.startswith("detect")
    return Model(module, Yolo26().layers(variant, task), key, rows, detector=detector if detects else None)


def parameters(variant: str, task: str) -> int:
    """With both heads."""
    return ultralytics_models.parameters(_architecture(variant, task))


def _architecture(variant: str, task: str) -> Architecture:
    wanted = TASKS[task]
    return Architecture(f"yolo26{variant}{wanted.suffix}.yaml", wanted.kind, wanted.classes)
