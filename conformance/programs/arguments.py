"""What a layer was called with, as plain JSON values, which can be kept on disk: a number stands for each tensor."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from conformance.core.deferred import torch
from conformance.core.errors import ModelError

_PLAIN = (str, bool, int, float, type(None))


def encoded(value: Any, number: Callable[[Any], int]) -> Any:
    """Arguments with `{"tensor": n}` for each tensor, n being what `number` says. What is neither a tensor nor a
    plain value, nor a list, tuple or dict of them, is only named."""
    if isinstance(value, torch.Tensor):
        return {"tensor": number(value)}
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, list):
        return [encoded(part, number) for part in value]
    if isinstance(value, tuple):
        return {"tuple": [encoded(part, number) for part in value]}
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {"dict": {key: encoded(part, number) for key, part in value.items()}}
    return {"other": type(value).__name__}


def placed(structure: Any, values: Mapping[int, Any]) -> Any:
    """The arguments again, with a value in the place of each number. Raises ModelError for what was only named."""
    if isinstance(structure, list):
        return [placed(part, values) for part in structure]
    if not isinstance(structure, dict):
        return structure
    ((kind, content),) = structure.items()
    if kind == "tensor":
        return values[content]
    if kind == "tuple":
        return tuple(placed(part, values) for part in content)
    if kind == "dict":
        return {key: placed(part, values) for key, part in content.items()}
    raise ModelError(f"a layer is called with a {content}, which cannot be kept: it cannot be compiled alone")


def numbers(structure: Any) -> Iterator[int]:
    """The numbers of the tensors, in order."""
    if isinstance(structure, list):
        for part in structure:
            yield from numbers(part)
    elif isinstance(structure, dict):
        ((kind, content),) = structure.items()
        if kind == "tensor":
            yield content
        elif kind in ("tuple", "dict"):
            yield from numbers(list(content.values()) if kind == "dict" else content)


def renumbered(structure: Any, new: Mapping[int, int]) -> Any:
    """The same with other numbers."""
    if isinstance(structure, list):
        return [renumbered(part, new) for part in structure]
    if not isinstance(structure, dict):
        return structure
    ((kind, content),) = structure.items()
    if kind == "tensor":
        return {kind: new[content]}
    if kind == "dict":
        return {kind: {key: renumbered(part, new) for key, part in content.items()}}
    return {kind: renumbered(content, new) if kind == "tuple" else content}
