"""The cases that are run, and what is needed to run them."""

from __future__ import annotations

from dataclasses import dataclass

from conformance.cases.case import Case, Column
from conformance.systems.user_model import ModelSpec

# Weights that are no file of the user's: those that come with the suite, those that ultralytics publishes.
BUILT_IN = ("shapes", "pretrained")


@dataclass(frozen=True)
class Selection:
    """Cases to run. `systems`, `targets` and `weights` map a case's names to what these are loaded by. `model` is
    the one that a user names, where that is all that is run."""

    profile: str
    models: list[Case]
    layers: list[Case]
    minimal: list[Case]
    systems: dict[str, str]
    targets: dict[str, str]
    weights: dict[str, str]
    absent: dict[str, str]  # target or system -> why it cannot be used here
    pictures: str | None = None
    model: ModelSpec | None = None

    @property
    def detections(self) -> list[Case]:
        """The models whose weights were trained, so that they detect something."""
        return [case for case in self.models if case.subject.weights]

    @property
    def counts(self) -> str:
        """`8 models, 24 isolated layers, 15 minimal cases of defects`."""
        models, layers, minimal = len(self.models), len(self.layers), len(self.minimal)
        return f"{models} models, {layers} isolated layers, {minimal} minimal cases of defects"

    def why_not(self, case: Case) -> str | None:
        """Why a case cannot be run here, or None."""
        return self.why_no_column(case.column) or self.absent.get(case.subject.system)

    def why_no_column(self, column: Column) -> str | None:
        """Why nothing can be run in a column here, or None."""
        return self.absent.get(column.target)
