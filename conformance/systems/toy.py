"""A small detector of our own with trained weights: what its images show is known, and it needs torch alone."""

from __future__ import annotations

from conformance.core.groups import Group
from conformance.systems.base import BaseSystem
from conformance.systems.detectors import BOXES, SCORES


class ToyDet(BaseSystem):
    """Finds the shapes of `conformance.scenes`: (B, 3, H, W) to (B, 8, cells), 4 box rows in pixels and 4 scores."""

    name = "toydet"
    variants = ("98k",)
    licence = "Apache-2.0"
    builder = "conformance.systems.building.toy"
    takes_weights = True

    def stride(self, task: str) -> int:
        """Of its coarsest block."""
        return 16

    def layers(self, variant: str, task: str) -> tuple[str, ...]:
        """Every block; the last two are the branches of the head."""
        return ("stem", "fine", "middle", "coarse", "join", "boxes", "scores")

    def groups(self, variant: str, task: str) -> tuple[Group, ...]:
        """Boxes and scores."""
        return (BOXES, SCORES)
