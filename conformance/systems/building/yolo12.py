"""YOLO12, from the YAML files inside ultralytics, with our attention in the place of its own."""

from __future__ import annotations

from typing import Any

from torch import nn

from conformance.core.store import digest
from conformance.models.area_attention import AreaAttention
from conformance.models.attention import Attend, choose
from conformance.systems.building import ultralytics_models
from conformance.systems.building.images import images as inputs
from conformance.systems.building.ultralytics_models import Architecture
from conformance.systems.detectors import ATTENTION_TASKS
from conformance.systems.protocol import Model
from conformance.systems.yolo12 import Yolo12

__all__ = ["build", "inputs", "parameters"]


def build(variant: str, task: str, weights: str | None) -> Model:
    """Fused; the attention that was asked for and the one that is used are in the notes."""
    module, key = ultralytics_models.build(Architecture(f"yolo12{variant}.yaml"), weights=weights)
    backend = choose(ATTENTION_TASKS[task])
    if backend.used != "math":
        replace_attention(module, backend.attend)
    key = digest({"model": key, "attention": backend.used})
    detector = "cells" if weights is not None else None
    return Model(module, Yolo12().layers(variant, task), key, notes=(backend.note,), detector=detector)


def parameters(variant: str, task: str) -> int:
    """The same for every attention."""
    return ultralytics_models.parameters(Architecture(f"yolo12{variant}.yaml"))


def replace_attention(module: nn.Module, attend: Attend) -> None:
    """Put our area attention in the place of ultralytics', round the same convolutions."""
    found: dict[str, Any] = {path: part for path, part in module.named_modules() if type(part).__name__ == "AAttn"}
    for path, old in found.items():
        module.set_submodule(path, AreaAttention(old.qkv, old.pe, old.proj, old.num_heads, old.area, attend).eval())
