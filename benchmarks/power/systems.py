"""The models that faults are planted in, and what they are fed with."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import Any, cast

from torch import Tensor

from benchmarks.power.held_out import VARIANTS
from conformance.cases.case import Subject
from conformance.running.comparison import ReferenceModel
from conformance.systems.loading import load_system
from conformance.systems.protocol import Model, System


@dataclass(frozen=True)
class Entry:
    """A model of a system, with the shape of the batch that faults are seen on.

    `detector` is how its first output is read (see `conformance.systems.protocol.Model`), also where its weights are
    seeded; None where it does not detect. `shapes` are (batch, height, width) of the healthy cells. Of those that are
    `held_out` nothing was tuned on, and fewer faults are planted in each.
    """

    name: str
    system: str
    variant: str
    task: str
    weights: str | None
    detector: str | None
    shape: tuple[int, int, int]
    shapes: tuple[tuple[int, int, int], ...]
    held_out: bool = False

    def subject(self, dtype: str, shape: tuple[int, int, int] | None = None) -> Subject:
        """The subject of a shape, by default the one that faults are seen on."""
        batch, height, width = shape or self.shape
        return Subject(self.load().name, self.variant, self.task, batch, height, width, dtype, self.weights)

    def load(self) -> System:
        """The system. Raises UserError where it is not installed."""
        return load_system(self.system)

    def build(self) -> Model:
        """The model, from disk where its weights were made before."""
        return self.load().build(self.variant, self.task, *([self.weights] if self.weights else []))


_SHAPES = ((1, 192, 256), (2, 160, 160), (4, 128, 192))
_PLANTED = (2, 192, 256)
HELD_OUT = "benchmarks.power.held_out:HeldOut"

ENTRIES = {
    entry.name: entry
    for entry in (
        Entry("yolo26n-detect/shapes", "yolo26", "n", "detect", "shapes", "cells", _PLANTED, _SHAPES),
        Entry("yolo26n-detect", "yolo26", "n", "detect", None, "cells", _PLANTED, _SHAPES),
        Entry("yolo12n-detect", "yolo12", "n", "detect", None, "cells", _PLANTED, _SHAPES),
        Entry(
            "fasterrcnn-r50-backbone", "fasterrcnn", "r50", "backbone", None, None, (2, 160, 160),
            ((1, 160, 160), (2, 128, 160), (4, 96, 128)),
        ),
        *(
            Entry(f"held-out/{one}", HELD_OUT, one, "logits", None, None, (2, 128, 128), ((2, 128, 128),), True)
            for one in VARIANTS
        ),
    )
}  # fmt: skip


class OtherImages:
    """A system whose images begin at another index: what it gives for 0 is another one's for `first`."""

    def __init__(self, system: System, first: int) -> None:
        self._system = system
        self._first = first

    def __getattr__(self, name: str) -> Any:
        return getattr(self._system, name)

    def inputs(self, subject: Subject, index: int) -> tuple[Tensor, ...]:
        """Those of the index that is as much further."""
        return self._system.inputs(subject, index + self._first)


def reference_model(entry: Entry, model: Model, subject: Subject, first: int = 0) -> ReferenceModel:
    """The product's own, on images from this index on. Leaves nothing in the cache: there are hundreds."""
    return ReferenceModel(cast(System, OtherImages(entry.load(), first)), model, subject)


@contextmanager
def scratch_cache() -> Iterator[None]:
    """References made in here are gone afterwards. Weights should be built before, or they are made anew."""
    before = os.environ.get("CONFORMANCE_CACHE")
    with TemporaryDirectory(prefix="power-") as folder:
        os.environ["CONFORMANCE_CACHE"] = folder
        try:
            yield
        finally:
            if before is None:
                del os.environ["CONFORMANCE_CACHE"]
            else:
                os.environ["CONFORMANCE_CACHE"] = before
