"""What others bring along by name: from entry points, or `package.module:attribute` for one's own."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterable
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Protocol, TypeVar, cast

from conformance.core.errors import UserError, first_line, unknown
from conformance.core.members import checked

_SPEC = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*:[^\W\d]\w*")


T = TypeVar("T")


class Requiring(Protocol):
    """What can say why it cannot be used here."""

    @property
    def name(self) -> str: ...

    def missing(self) -> str | None: ...


@cache
def entries(kind: str) -> dict[str, EntryPoint]:
    """The installed ones of a kind, `system`, `target`, `defect` or `workaround`, by name."""
    return {entry.name: entry for entry in entry_points(group=f"conformance.{kind}s")}


@cache
def load(kind: str, name: str) -> Any:
    """The one of this name, or at this place. Raises UserError."""
    if ":" in name:
        found = _attribute(kind, name)
    elif name in entries(kind):
        found = _imported(kind, name, entries(kind)[name].load)
    else:
        raise unknown(kind, name, [*entries(kind), "package.module:attribute"])
    made = _imported(kind, name, cast(Callable[[], Any], found)) if isinstance(found, type) else found
    return checked(kind, name, made)


def collected(kind: str, shape: type[T], own: Iterable[T], name_of: Callable[[T], str]) -> dict[str, T]:
    """Our own of a kind and, behind them, those that other packages bring along, by name. Raises UserError for two of
    one name."""
    found: dict[str, T] = {}
    for one in (*own, *_others(kind, shape)):
        if found.setdefault(name_of(one), one) is not one:
            raise UserError(f"two {kind}s are called {name_of(one)!r}: one of them is of another package")
    return found


def _others(kind: str, shape: type[T]) -> list[T]:
    """One of a shape, or several, for each entry point. Raises UserError."""
    found: list[T] = []
    for name, entry in entries(kind).items():
        given = _imported(kind, name, entry.load)
        several = list(given) if isinstance(given, tuple | list) else [given]
        if wrong := next((one for one in several if not isinstance(one, shape)), None):
            raise UserError(f"{kind} {name!r} is {type(wrong).__name__}, and no {shape.__name__}")
        found += several
    return found


class Completed:
    """Something of anyone's, with the `rest` that it may lack."""

    def __init__(self, thing: Any, rest: Any) -> None:
        self._thing, self._rest = thing, rest

    def __getattr__(self, name: str) -> Any:
        return getattr(self._thing if hasattr(self._thing, name) else self._rest, name)


def _attribute(kind: str, name: str) -> Any:
    if not _SPEC.fullmatch(name):
        raise UserError(f"cannot load {kind} {name!r}: it is not package.module:attribute")
    module, _, attribute = name.partition(":")
    return _imported(kind, name, lambda: getattr(importlib.import_module(module), attribute))


def _imported(kind: str, name: str, load: Callable[[], Any]) -> Any:
    """What anyone's own code gives, which may raise anything."""
    try:
        return load()
    except (Exception, SystemExit) as error:
        raise UserError(f"cannot load {kind} {name!r}: {first_line(error)}") from error


def module_of(thing: object) -> str:
    """The module that something's class is of; of what was completed, that of its own."""
    return type(thing._thing if isinstance(thing, Completed) else thing).__module__


def why_missing(thing: Requiring) -> str | None:
    """Why a system or a target cannot be used here, in its own words. Raises UserError where it has none."""
    try:
        reason = thing.missing()
    except Exception as error:
        raise UserError(f"{thing.name}: missing() fails with {first_line(error)}") from error
    if reason is not None and not isinstance(reason, str):
        raise UserError(f"{thing.name}: missing() gives {type(reason).__name__}; expected a reason, or None")
    return reason
