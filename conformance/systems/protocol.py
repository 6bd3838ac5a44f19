"""What a system gives: a module with live weights, its inputs, the meaning of its outputs, its layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from conformance.cases.case import Case

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class Group:
    """A part of the output that means one thing: `outputs[output]` from `start` to `stop` along `dim`."""

    name: str
    output: int = 0
    dim: int = 1
    start: int = 0
    stop: int | None = None

    def of(self, outputs: Sequence[Tensor]) -> Tensor:
        """The group's part of a model's outputs, batch first."""
        whole = outputs[self.output]
        return whole.narrow(self.dim, self.start, (self.stop or whole.shape[self.dim]) - self.start)


@dataclass(frozen=True)
class Model:
    """A module that can be compiled: float32, eval, no gradients, batch first in and out.

    `groups` name every part of its outputs; None makes each output a group. `layers` are the paths of the
    modules whose outputs are compared, in the order they run. `key` changes whenever structure or weights do.
    """

    module: nn.Module
    groups: tuple[Group, ...] | None
    layers: tuple[str, ...]
    key: str


class System(Protocol):
    """A model family under test."""

    name: str
    variants: tuple[str, ...]
    tasks: tuple[str, ...]
    stride: int  # heights and widths must be divisible by this
    licence: str

    def missing(self) -> str | None:
        """Why it cannot be built here and what to install; None where it can. Imports nothing heavy."""

    def layers(self, variant: str, task: str) -> tuple[str, ...]:
        """The paths of the layers of the built module, known without building it."""

    def build(self, variant: str, task: str) -> Model:
        """The model with seeded and calibrated weights. The same call gives the same weights."""

    def inputs(self, case: Case, index: int) -> tuple[Tensor, ...]:
        """The inputs of a case, float32, (batch, 3, height, width) in 0..1 for images. Another index gives
        other images, and every place of the batch has an image of its own."""
