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
    ranked = task == "detect-end2end"
    module, key = ultralytics_models.build(_architecture(variant, task), ranked, weights)
    rows, detector = ((0,), "rows") if ranked else ((), "cells")
    layers = Yolov9().layers(variant, task)
    return Model(module, layers, key, rows, detector=detector if weights is not None else None)


def parameters(variant: str, task: str) -> int:
    """With all its heads."""
    return ultralytics_models.parameters(_architecture(variant, task))


def _architecture(variant: str, task: str) -> Architecture:
    return Architecture(f"yolov9{variant}.yaml", one_to_one=task == "detect-end2end")
