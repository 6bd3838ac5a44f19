"""What a model's answers depend on beside its weights."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import packages_distributions, version
from inspect import getclosurevars
from types import FunctionType
from typing import Any

from numpy import ndarray
from torch import Tensor, nn, strided

from conformance.core.own_code import own_code
from conformance.programs.fingerprint import as_bytes

_PLAIN = (bool, int, float, complex, str, bytes, type(None))
_OF_EVERY_MODULE = frozenset(vars(nn.Module()))
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
    """What the parts of a model are told beside their weights: strides, tables, configurations, functions to call."""
    held = ((path, name, value) for path, part in module.named_modules() for name, value in vars(part).items())
    return {f"{path}.{name}": _said(value) for path, name, value in held if name not in _OF_EVERY_MODULE}


def _said(value: Any, depth: int = _DEEP) -> str:
    """A plain value in words, a tensor or an array by its hash, all else by what it is made of."""
    kind = type(value).__qualname__
    if isinstance(value, _PLAIN):
        return repr(value)
    if isinstance(value, (Tensor, ndarray)):
        return f"{kind} {_hash(value)}"
    if isinstance(value, nn.Module) or not depth:
        return kind
    return f"{kind} {[_said(part, depth - 1) for part in _parts(value)]}"


def _parts(value: Any) -> Iterable[Any]:
    """What an object is made of: of a function its name, its defaults and what it has caught."""
    if isinstance(value, Mapping):
        return (part for pair in value.items() for part in pair)
    if isinstance(value, (list, tuple)):
        return value
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=repr)
    if isinstance(value, FunctionType):
        return [value.__qualname__, *(value.__defaults__ or ()), *getclosurevars(value).nonlocals.items()]
    if name := getattr(value, "__qualname__", None):
        return [name]
    return [getattr(value, "__dict__", {})]


def _hash(value: Tensor | ndarray) -> str:
    """Of shape, dtype and numbers, where there are any."""
    said = f"{value.dtype} {tuple(value.shape)}"
    if not isinstance(value, Tensor):
        held = value.tobytes()
    elif value.layout != strided or value.is_meta or value.is_quantized or not value.numel():
        return said
    else:
        held = as_bytes(value.cpu())
    return f"{said} {hashlib.blake2b(held).hexdigest()}"
