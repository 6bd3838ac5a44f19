"""Packages whose architectures can be looked at by name: what each needs, declared without importing it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

from conformance.core.errors import check
from conformance.core.requirements import missing_packages

if TYPE_CHECKING:
    from conformance.systems.architecture import Architecture


class Zoo(Protocol):
    """The module that makes the architectures of a package."""

    names: Callable[[], list[str]]

    def build(self, name: str, fake: bool = False) -> Architecture: ...


@dataclass(frozen=True)
class Source:
    """A package: the module that it is imported as, the extra that brings it, its licence, and the `builder`, a
    module that is imported where an architecture is made."""

    module: str
    extra: str
    licence: str
    builder: str


SOURCES = {
    name: Source(name, extra, licence, f"conformance.systems.building.zoo.{name}")
    for name, extra, licence in (
        ("torchvision", "zoo", "BSD-3-Clause"),
        ("timm", "zoo", "Apache-2.0"),
        ("transformers", "zoo", "Apache-2.0"),
        ("ultralytics", "yolo", "AGPL-3.0"),
    )
}


def missing(source: str) -> str | None:
    """What to install where the package of a source is not. Raises UserError for no source."""
    of = SOURCES[check("source of architectures", source, SOURCES)]
    return missing_packages({of.module: of.extra}, source)


def zoo(source: str) -> Zoo:
    """What makes the architectures of a source: its package is imported. Raises UserError for no source."""
    return cast(Zoo, import_module(SOURCES[check("source of architectures", source, SOURCES)].builder))
