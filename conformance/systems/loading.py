"""Systems by name."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from inspect import signature
from itertools import product
from typing import cast

from conformance.cases.case import model_name
from conformance.core.loading import Completed, entries, load
from conformance.systems.base import BaseSystem
from conformance.systems.protocol import System
from conformance.systems.user_model import PREFIX, ModelSpec, UserModel


@cache
def load_system(name: str) -> System:
    """The system of this name, or of one model that a user names. Raises UserError."""
    if name.startswith(PREFIX):
        return UserModel(ModelSpec.model_validate_json(name.removeprefix(PREFIX)))
    found = load("system", name)
    return cast(System, found if isinstance(found, BaseSystem) else Completed(found, _Defaults(found)))


def system_names() -> list[str]:
    """The systems that are installed."""
    return sorted(entries("system"))


def models_of(systems: Mapping[str, System]) -> dict[str, tuple[str, str, str]]:
    """Every model by its name, `yolo26n-detect`: the key of its system, its variant and its task."""
    return {
        model_name(system.name, variant, task): (key, variant, task)
        for key, system in systems.items()
        for variant, task in product(system.variants, system.tasks)
    }


class _Defaults(BaseSystem):
    """What a system has that does not say: it takes weights where its `build` has an argument for them."""

    def __init__(self, system: System) -> None:
        self.takes_weights = "weights" in signature(system.build).parameters
