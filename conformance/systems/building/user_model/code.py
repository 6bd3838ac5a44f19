"""What a model's answers depend on beside its weights."""

from __future__ import annotations

from functools import cache
from importlib.metadata import packages_distributions, version
from typing import Any

from torch import Tensor, nn

from conformance.core.own_code import own_code

_PLAIN = (bool, int, float, complex, str, bytes, type(None))
_DEEP = 4  # a configuration within a configuration, and no further: objects may lead back to themselves


def code_key(module: nn.Module) -> dict[str, str]:
    """The user's own code and the versions of the packages that the model's parts are of. Where either is another
    one, what is known of the model holds no more."""
    packages = {type(part).__module__.partition(".")[0] for part in module.modules()}
    named = {name for package in packages for name in _distributions().get(package, ())}
    return own_code() | {name: version(name) for name in named}


@cache
def _distributions() -> dict[str, list[str]]:
    return {package: list(names) for package, names in packages_distributions().items()}


def settings(module: nn.Module) -> dict[str, str]:
    """What the parts of a model are told beside their weights: strides, configurations, functions to call."""
    held = ((path, name, value) for path, part in module.named_modules() for name, value in vars(part).items())
    return {f"{path}.{name}": _said(value) for path, name, value in held if not name.startswith("_")}


def _said(value: Any, depth: int = _DEEP) -> str:
    """A plain value, a nesting of such, an object by what it holds; a function by its name, all else by its type."""
    if isinstance(value, _PLAIN):
        return repr(value)
    if isinstance(value, (list, tuple)) and depth:
        return str([_said(part, depth - 1) for part in value])
    if isinstance(value, dict) and depth:
        return str({str(key): _said(part, depth - 1) for key, part in value.items()})
    if name := getattr(value, "__qualname__", None):
        return str(name)
    held = {} if isinstance(value, (nn.Module, Tensor)) or not depth else getattr(value, "__dict__", {})
    return f"{type(value).__qualname__} {_said(dict(held), depth - 1) if held else ''}"
