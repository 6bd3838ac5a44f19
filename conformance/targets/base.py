"""What most targets have alike, so that each says only what is its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from conformance.core.requirements import missing_packages
from conformance.targets.passes import LIST, is_without

if TYPE_CHECKING:
    from conformance.cases.case import Column


class BaseTarget:
    """A real target on the CPU of this host, without releases, settings or NeuronCores: a subclass says its `name`
    and how it compiles, and whatever else is different.

    `needs` are the modules that it cannot be used without, each with the extra that brings it. One that `has_passes`
    can leave any of them out.
    """

    name: str
    emulated: bool = False
    hardware: tuple[str, ...] = ("cpu",)
    sdks: tuple[str, ...] = ()
    variables: Mapping[str, str] = {}
    settings: Mapping[str, str] = {}
    needs: Mapping[str, str] = {}
    has_passes: bool = False

    @property
    def default_hardware(self) -> tuple[str, ...]:
        """All that it can stand for."""
        return self.hardware

    def offers(self, setting: str) -> bool:
        """One of its own or, where it has passes, the list of them and each left out."""
        return setting in self.settings or (self.has_passes and (setting == LIST or is_without(setting)))

    def missing(self) -> str | None:
        """What to install where something that it needs is not."""
        return missing_packages(self.needs, self.name)

    def packages(self, hardware: str, sdk: str | None) -> dict[str, str]:
        """None that a known defect depends on."""
        return {}

    def cores(self, settings: tuple[str, ...]) -> int:
        """It needs no NeuronCore."""
        return 0

    def process(self, settings: tuple[str, ...]) -> dict[str, str]:
        """No more environment variables than `variables`."""
        return {}

    def conditions(self, column: Column, dtype: str) -> dict[str, str]:
        """Nothing that its records should have beside the packages."""
        return {}

    def passes_left(self) -> list[str]:
        """None."""
        return []

    def snippet(self, column: Column, dtype: str) -> str:
        """What each setting does, as comments."""
        return "\n".join(f"# {name}: {self.settings.get(name, '')}" for name in column.settings)
