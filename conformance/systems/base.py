"""What most systems have alike, so that each says only what is its own."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

from conformance.cases.case import Subject
from conformance.core.groups import Group
from conformance.core.requirements import missing_packages
from conformance.systems.protocol import Model

if TYPE_CHECKING:
    from torch import Tensor


class Builder(Protocol):
    """A module that makes the models of a system: what it imports is imported when one is made."""

    def build(self, variant: str, task: str, weights: str | None) -> Model: ...

    def parameters(self, variant: str, task: str) -> int: ...

    def inputs(self, subject: Subject, index: int) -> tuple[Tensor, ...]: ...


class BaseSystem:
    """A system that declares: its names, the layers and groups of its models, and the `builder` that makes them.

    `needs` are the modules that it cannot be built without, each with the extra that brings it.
    """

    name: str
    variants: tuple[str, ...]
    tasks: tuple[str, ...] = ("detect",)
    licence: str
    needs: Mapping[str, str] = {}
    builder: str  # package.module
    takes_weights = False

    def missing(self) -> str | None:
        """What to install where something that it needs is not."""
        return missing_packages(self.needs, self.name)

    def stride(self, task: str) -> int:
        """Of the coarsest scale."""
        return 32

    def layers(self, variant: str, task: str) -> tuple[str, ...]:
        """None but the whole model."""
        return ()

    def groups(self, variant: str, task: str) -> tuple[Group, ...] | None:
        """Every output is one."""
        return None

    def build(self, variant: str, task: str, weights: str | None = None) -> Model:
        """The model, by the builder. Raises UserError for weights that cannot be had or do not fit."""
        return self._builder.build(variant, task, weights)

    def parameters(self, variant: str, task: str) -> int:
        """How many the model has, by the builder."""
        return self._builder.parameters(variant, task)

    def inputs(self, subject: Subject, index: int) -> tuple[Tensor, ...]:
        """The inputs of a subject, by the builder."""
        return self._builder.inputs(subject, index)

    @property
    def _builder(self) -> Builder:
        return cast(Builder, import_module(self.builder))
