"""The small detector, with the weights that `training/shapes.py` has made."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from conformance.cases.case import Subject
from conformance.core.errors import UserError
from conformance.core.reading import fixture_path
from conformance.models.toydet import ToyDetector
from conformance.scenes.drawing import CLASSES
from conformance.systems.building.images import images
from conformance.systems.building.weights import read_weights
from conformance.systems.protocol import Model
from conformance.systems.toy import ToyDet


def build(variant: str, task: str, weights: str | None) -> Model:
    """The trained detector. Raises UserError for any other weights than its own."""
    if weights not in (None, "shapes"):
        raise UserError(f"toydet has weights of its own, shapes, and takes no others: not {weights!r}")
    state, key = read_weights(fixture_path("weights", "toydet-shapes.safetensors"))
    module = ToyDetector(len(CLASSES))
    module.load_state_dict(state, strict=False)  # the counters of batches are not in the file
    module.eval().requires_grad_(False)
    return Model(module, ToyDet().layers(variant, task), key, detector="cells")


def parameters(variant: str, task: str) -> int:
    """Weights and biases."""
    return sum(parameter.numel() for parameter in ToyDetector(len(CLASSES)).parameters())


def inputs(subject: Subject, index: int) -> tuple[Tensor, ...]:
    """Scenes that it was not trained on, (B, 3, H, W) float32 in 0..1."""
    return images(replace(subject, weights="shapes"), index)
