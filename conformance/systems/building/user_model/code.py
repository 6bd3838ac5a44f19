"""What a model's answers depend on beside its weights."""

from __future__ import annotations

from functools import cache
from importlib.metadata import packages_distributions, version

from torch import nn

from conformance.core.own_code import own_code


def code_key(module: nn.Module) -> dict[str, str]:
    """The user's own code and the versions of the packages that the model's parts are of. Where either is another
    one, what is known of the model holds no more."""
    packages = {type(part).__module__.partition(".")[0] for part in module.modules()}
    named = {name for package in packages for name in _distributions().get(package, ())}
    return own_code() | {name: version(name) for name in named}


@cache
def _distributions() -> dict[str, list[str]]:
    return {package: list(names) for package, names in packages_distributions().items()}
