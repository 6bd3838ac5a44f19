"""A small detector of our own with trained weights: what its images show is known, and it needs torch alone."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from conformance.cases.case import Subject
from conformance.cases.errors import UserError
from conformance.cases.reading import fixture_path
from conformance.systems.groups import BOXES, SCORES
from conformance.systems.protocol import Group, Model

if TYPE_CHECKING:
    from torch import Tensor


class ToyDet:
    """Finds the shapes of `conformance.scenes`: (B, 3, H, W) to (B, 8, cells), 4 box rows in pixels and 4 scores."""

    name = "toydet"
    variants = ("98k",)
    tasks = ("detect",)
    licence = "Apache-2.0"

    def missing(self) -> str | None:
        """It needs nothing that the suite does not."""
        return None

    def stride(self, task: str) -> int:
        """Of its coarsest block."""
        return 16

    def layers(self, variant: str, task: str) -> tuple[str, ...]:
        """Every block; the last two are the branches of the head."""
        return ("stem", "fine", "middle", "coarse", "join", "boxes", "scores")

    def groups(self, variant: str, task: str) -> tuple[Group, ...]:
        """Boxes and scores."""
        return (BOXES, SCORES)

    def build(self, variant: str, task: str, weights: str | None = None) -> Model:
        """The weights that `training/shapes.py` has made. Raises UserError for any others."""
        from conformance.models.toydet import ToyDetector
        from conformance.scenes.drawing import CLASSES
        from conformance.systems.weights import read_weights

        if weights not in (None, "shapes"):
            raise UserError(f"toydet has weights of its own, shapes, and takes no others: not {weights!r}")
        state, key = read_weights(fixture_path("weights", "toydet-shapes.safetensors"))
        module = ToyDetector(len(CLASSES))
        module.load_state_dict(state, strict=False)  # the counters of batches are not in the file
        module.eval().requires_grad_(False)
        return Model(module, self.layers(variant, task), key, detector="cells")

    def parameters(self, variant: str, task: str) -> int:
        """Weights and biases."""
        from conformance.models.toydet import ToyDetector
        from conformance.scenes.drawing import CLASSES

        return sum(parameter.numel() for parameter in ToyDetector(len(CLASSES)).parameters())

    def inputs(self, subject: Subject, index: int) -> tuple[Tensor, ...]:
        """Scenes that it was not trained on, (B, 3, H, W) float32 in 0..1."""
        from conformance.systems.images import images

        return images(replace(subject, weights="shapes"), index)
