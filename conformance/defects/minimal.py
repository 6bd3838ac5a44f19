"""The minimal cases of a defect as a system: they are built, compiled and judged like any model."""

from __future__ import annotations

import sys
from inspect import getsource
from typing import TYPE_CHECKING

from conformance.cases.case import Subject
from conformance.core.errors import check
from conformance.core.store import digest
from conformance.defects.defect import Defect, MinimalCase
from conformance.systems.base import BaseSystem
from conformance.systems.protocol import Model

if TYPE_CHECKING:
    from torch import Tensor


class MinimalCases(BaseSystem):
    """One defect's minimal cases; a variant is a minimal case, and there is one task, without a name."""

    tasks: tuple[str, ...] = ("",)
    licence = "Apache-2.0"

    def __init__(self, defect: Defect) -> None:
        self.name = defect.id
        self.cases = {case.name: case for case in defect.minimal_cases}
        self.variants = tuple(self.cases)

    def minimal(self, variant: str) -> MinimalCase:
        """The minimal case of this name. Raises UserError."""
        return self.cases[check(f"minimal case of {self.name}", variant, self.variants)]

    def stride(self, task: str) -> int:
        """Nothing: the inputs have their own shape."""
        return 1

    def build(self, variant: str, task: str, weights: str | None = None) -> Model:
        """The module; it has no weights, or seeded ones. Its key is that of the defect's file: what is edited
        there must not meet the reference of what stood there before."""
        build = self.minimal(variant).build
        key = digest({"case": f"{self.name}:{variant}", "source": getsource(sys.modules[build.__module__])})
        return Model(build().eval(), (), key)

    def parameters(self, variant: str, task: str) -> int:
        """Seeded ones, if any."""
        return sum(parameter.numel() for parameter in self.minimal(variant).build().parameters())

    def inputs(self, subject: Subject, index: int) -> tuple[Tensor, ...]:
        """The minimal case's own inputs."""
        return self.minimal(subject.variant).inputs(index)
