"""Which targets and systems can be used here, in their own words."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from conformance.core.errors import UserError
from conformance.host.facts import Usable


class Checkable(Protocol):
    """A target or a system."""

    def missing(self) -> str | None:
        """Why it cannot be used here and what to install; None where it can."""


def usable(names: Iterable[str], load: Callable[[str], Checkable]) -> tuple[Usable, ...]:
    """Ask each of them. One that breaks is reported as unusable."""
    return tuple(_ask(name, load) for name in names)


def _ask(name: str, load: Callable[[str], Checkable]) -> Usable:
    try:
        found = load(name)
        return Usable(name, found.missing(), bool(getattr(found, "emulated", False)))
    except UserError as error:
        return Usable(name, str(error))
    except Exception as error:  # noqa: BLE001 (anyone's own code: a broken plugin must not hide the rest of the report)
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        return Usable(name, f"cannot be loaded: {reason}")
