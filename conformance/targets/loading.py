"""Targets by name."""

from __future__ import annotations

from functools import cache
from typing import cast

from conformance.core.loading import Completed, entries, load
from conformance.targets.base import BaseTarget
from conformance.targets.protocol import Target


@cache
def load_target(name: str) -> Target:
    """The target of this name. Raises UserError."""
    found = load("target", name)
    return cast(Target, found if isinstance(found, BaseTarget) else Completed(found, BaseTarget()))


def target_names() -> list[str]:
    """The targets that are installed, whether or not this host can run them."""
    return sorted(entries("target"))
