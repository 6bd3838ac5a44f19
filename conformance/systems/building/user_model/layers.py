"""Which layers of a model are looked at: named by the user, or as many as a person reads."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn

from conformance.core.errors import UserError, not_there
from conformance.programs.program import tensors

FEWEST, MOST = 20, 60  # layers that are seen where nobody says which


def choose_layers(
    module: nn.Module, inputs: tuple[Tensor, ...], patterns: Sequence[str], depth: int | None
) -> tuple[str, ...]:
    """The paths of the layers, in the order they give their outputs. Raises UserError for a pattern that no layer has
    which is called."""
    called = _called(module, inputs)
    if patterns:
        return _matching(module, called, patterns)
    if depth is not None:
        return _ordered(called, _to_depth(called, depth))
    return _ordered(called, _readable(module, called))


@torch.no_grad()
def _called(module: nn.Module, inputs: tuple[Tensor, ...]) -> list[str]:
    """The paths of the modules that give tensors which are not what they were given, in the order they last do."""
    found: dict[str, None] = {}

    def after(path: str) -> object:
        def hook(_: nn.Module, given: tuple[object, ...], output: object) -> None:
            ids = {id(x) for x in tensors(given)}
            made = [x for x in tensors(output) if id(x) not in ids or x._version]
            if made:
                found.pop(path, None)
                found[path] = None

        return hook

    handles = [part.register_forward_hook(after(path)) for path, part in module.named_modules() if path]
    try:
        module(*(x.clone() for x in inputs))
    except Exception:  # noqa: BLE001 (the model's own, which is said where it is judged)
        return []
    finally:
        for handle in handles:
            handle.remove()
    return list(found)


def _matching(module: nn.Module, called: Sequence[str], patterns: Sequence[str]) -> tuple[str, ...]:
    chosen: set[str] = set()
    for pattern in patterns:
        matched = {path for path in called if fnmatchcase(path, pattern)}
        if not matched and any(fnmatchcase(path, pattern) for path, _ in module.named_modules() if path) and called:
            raise UserError(f"its layer {pattern} is never called, or gives what it is given: name another")
        if not matched and called:
            raise not_there("it has no layer", pattern, called)
        chosen |= matched
    return _ordered(called, chosen)


def _to_depth(called: Sequence[str], depth: int) -> set[str]:
    """Those at a depth, and those above it that have none called below."""
    within = {path for path in called if path.count(".") < depth}
    return {path for path in within if not any(other.startswith(f"{path}.") for other in within)}


def _readable(module: nn.Module, called: Sequence[str]) -> set[str]:
    """From the outermost modules inwards: all of one class are parted at once, those with the most inside first,
    until there are enough to tell where an error begins; never into more than can be read."""
    inside = _children(called)
    found, kept = set(inside[""]), set()
    while len(found) < FEWEST:
        parted: dict[str, list[str]] = defaultdict(list)
        for path in found:
            if inside[path] and (kind := type(module.get_submodule(path)).__name__) not in kept:
                parted[kind].append(path)
        if not parted:
            break
        kind = max(parted, key=lambda kind: (max(_size(called, path) for path in parted[kind]), kind))
        paths = set(parted[kind])
        wider = (found - paths) | {child for path in paths for child in inside[path]}
        if len(wider) > MOST:
            kept.add(kind)
        else:
            found = wider
    return found


def _children(called: Sequence[str]) -> dict[str, list[str]]:
    """The nearest called modules inside of each, and of the model itself under an empty path."""
    known = set(called)
    found: dict[str, list[str]] = defaultdict(list)
    for path in called:
        above = path.rpartition(".")[0]
        while above and above not in known:
            above = above.rpartition(".")[0]
        found[above].append(path)
    return found


def _size(called: Iterable[str], path: str) -> int:
    return sum(other.startswith(f"{path}.") for other in called)


def _ordered(called: Sequence[str], chosen: set[str]) -> tuple[str, ...]:
    return tuple(path for path in called if path in chosen)
