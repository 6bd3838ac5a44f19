"""What a target and a system must have, looked at before it is used: whatever is missing is said in one line."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from conformance.core.errors import UserError, first_line

_NAME = re.compile(r"[\w.-]+")


def _names(value: Any) -> bool:
    return isinstance(value, tuple | list) and all(isinstance(one, str) and one for one in value)


def _some(value: Any) -> bool:
    return bool(value) and _names(value)


def _table(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(one, str) for pair in value.items() for one in pair)


# Attribute -> whether a value is right, and what would be.
_SHAPES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "name": (
        lambda value: isinstance(value, str) and bool(_NAME.fullmatch(value)),
        "a name of letters, digits, . _ -",
    ),
    "emulated": (lambda value: isinstance(value, bool), "True or False"),
    "hardware": (_some, "a tuple of names, such as ('cpu',)"),
    "sdks": (_names, "a tuple of names, () for none"),
    "variables": (_table, "a dict of strings, {} for none"),
    "settings": (_table, "a dict of strings, {} for none"),
    "default_hardware": (_names, "a tuple of names"),
    "variants": (_names, "a tuple of names"),
    "tasks": (_names, "a tuple of names"),
    "licence": (lambda value: isinstance(value, str), "a text"),
}
_NEEDED = {
    "target": ("name", "emulated", "hardware", "sdks", "variables", "missing", "packages", "compile"),
    "system": (
        "name", "variants", "tasks", "licence",
        "missing", "stride", "layers", "groups", "build", "parameters", "inputs",
    ),
}  # fmt: skip
_OPTIONAL = {"target": ("settings", "default_hardware"), "system": ()}


def checked(kind: str, spec: str, thing: Any) -> Any:
    """The target or system, if it has all that its Protocol asks for. Raises UserError."""
    absent = [name for name in _NEEDED[kind] if not _has(kind, spec, thing, name)]
    if absent:
        raise UserError(
            f"{spec} is no {kind}: it lacks {', '.join(absent)}; see conformance/{kind}s/protocol.py for what each is"
        )
    for name in (*_NEEDED[kind], *_OPTIONAL[kind]):
        if _has(kind, spec, thing, name):
            _require_shape(kind, spec, name, getattr(thing, name))
    return thing


def _has(kind: str, spec: str, thing: Any, name: str) -> bool:
    try:
        return hasattr(thing, name)
    except Exception as error:  # a property of anyone's own
        raise UserError(f"{spec} is no {kind}: its {name} fails with {first_line(error)}") from error


def _require_shape(kind: str, spec: str, name: str, value: Any) -> None:
    if name not in _SHAPES:
        if not callable(value):
            raise UserError(f"{spec} is no {kind}: its {name} is {type(value).__name__}; expected a method")
        return
    right, expected = _SHAPES[name]
    if not right(value):
        raise UserError(f"{spec} is no {kind}: its {name} is {value!r:.60}; expected {expected}")
