"""What a system gives: a module with live weights, its inputs, the meaning of its outputs, its layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from conformance.cases.case import Subject
from conformance.core.groups import Group

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class Model:
    """A module that can be compiled: float32, eval, no gradients, batch first in and out.

    `layers` are the paths of the modules whose outputs are compared, in the order they run. `key` changes whenever
    structure or weights do.
    `rows` are the outputs that are sets of ranked detections, (batch, rows, values): box, score, whatever else.
    `notes` are facts about how it was built, for the record. `detector` is how its first output is read as
    detections: `cells` or `rows` (see `conformance.detections`); None where it does not detect, as no model does
    with seeded weights.
    """

    module: nn.Module
    layers: tuple[str, ...]
    key: str
    rows: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()
    detector: str | None = None


class SystemAxes(Protocol):
    """What cases are made of: as much of a system as is known without building anything."""

    @property
    def name(self) -> str: ...

    @property
    def variants(self) -> tuple[str, ...]: ...

    @property
    def tasks(self) -> tuple[str, ...]: ...

    def stride(self, task: str) -> int:
        """What heights and widths must be divisible by."""

    def layers(self, variant: str, task: str) -> tuple[str, ...]:
        """The paths of the layers of the built module, known without building it."""


class System(SystemAxes, Protocol):
    """A model family under test. `conformance.systems.base.BaseSystem` has what most have alike."""

    @property
    def licence(self) -> str: ...

    def missing(self) -> str | None:
        """Why it cannot be built here and what to install; None where it can. Imports nothing heavy."""

    def groups(self, variant: str, task: str) -> tuple[Group, ...] | None:
        """Every part of the outputs by its meaning; None makes each output a group. Known without building it."""

    def build(self, variant: str, task: str) -> Model:
        """The model with seeded and calibrated weights. The same call gives the same weights.

        A system that can be given others takes them as a third argument, `weights: str | None = None`.
        """

    def parameters(self, variant: str, task: str) -> int:
        """How many the model has as it is published, before anything is fused or left out."""

    def inputs(self, subject: Subject, index: int) -> tuple[Tensor, ...]:
        """The inputs of a subject, float32, (batch, 3, height, width) in 0..1 for images. Another index gives
        other images, and every place of the batch has an image of its own."""

    @property
    def takes_weights(self) -> bool:
        """Whether it can be given weights. Of one that does not say: whether `build` has an argument for them."""
