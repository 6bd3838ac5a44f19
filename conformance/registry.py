"""Systems and targets by name: from entry points, or `package.module:attribute` for one's own."""

from __future__ import annotations

import importlib
import importlib.util
import re
from collections.abc import Callable, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from itertools import product
from typing import TYPE_CHECKING, Any, cast

from conformance.cases.case import model_name
from conformance.cases.errors import UserError, first_line, unknown
from conformance.cases.members import checked

if TYPE_CHECKING:
    from conformance.systems.protocol import System
    from conformance.targets.protocol import Target

_SPEC = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*:[^\W\d]\w*")


@cache
def _entries(kind: str) -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=f"conformance.{kind}s")}


@cache
def _load(kind: str, name: str) -> Any:
    if ":" in name:
        found = _attribute(kind, name)
    elif name in _entries(kind):
        found = _imported(kind, name, _entries(kind)[name].load)
    else:
        raise unknown(kind, name, [*_entries(kind), "package.module:attribute"])
    made = _imported(kind, name, cast(Callable[[], Any], found)) if isinstance(found, type) else found
    return checked(kind, name, made)


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


def load_system(name: str) -> System:
    """The system of this name. Raises UserError."""
    return cast("System", _load("system", name))


def load_target(name: str) -> Target:
    """The target of this name. Raises UserError."""
    return cast("Target", _load("target", name))


def why_missing(thing: System | Target) -> str | None:
    """Why a system or a target cannot be used here, in its own words. Raises UserError where it has none."""
    try:
        reason = thing.missing()
    except Exception as error:
        raise UserError(f"{thing.name}: missing() fails with {first_line(error)}") from error
    if reason is not None and not isinstance(reason, str):
        raise UserError(f"{thing.name}: missing() gives {type(reason).__name__}; expected a reason, or None")
    return reason


def system_names() -> list[str]:
    """The systems that are installed."""
    return sorted(_entries("system"))


def target_names() -> list[str]:
    """The targets that are installed, whether or not this host can run them."""
    return sorted(_entries("target"))


def models_of(systems: Mapping[str, System]) -> dict[str, tuple[str, str, str]]:
    """Every model by its name, `yolo26n-detect`: the key of its system, its variant and its task."""
    return {
        model_name(system.name, variant, task): (key, variant, task)
        for key, system in systems.items()
        for variant, task in product(system.variants, system.tasks)
    }


def missing_packages(needed: dict[str, str], name: str) -> str | None:
    """Which of {module: extra} cannot be found, and how to install them; None where all can. Imports nothing."""
    absent = {module: extra for module, extra in needed.items() if importlib.util.find_spec(module) is None}
    if not absent:
        return None
    extras = ",".join(sorted(set(absent.values())))
    return f"{name} needs {', '.join(absent)}: pip install 'neuron-conformance[{extras}]'"
