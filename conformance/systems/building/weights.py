"""Weights from a file: a safetensors, or a checkpoint of ultralytics, read without running anything that is in it.

The modules of a checkpoint become stand-ins, which hold what is in them and have no code: not even a constructor of
torch or ultralytics is called (that of a DetectionModel evaluates a string of its argument).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from conformance.core.errors import UserError, first_line

State = dict[str, Tensor]
# Beside modules of these packages, what an ultralytics checkpoint holds of its training options.
_MODULES = ("torch.nn.modules.", "ultralytics.nn.")
_PLAIN = ("ultralytics.utils.IterableSimpleNamespace",)
# Far more than any network has: of dictionaries or modules in one another, and of modules.
_DEEPEST = 64
_MOST = 200_000


class _StandIn:
    """What a checkpoint has in the place of an object: its attributes, and no code."""

    def __new__(cls, *arguments: Any) -> _StandIn:
        return super().__new__(cls)

    def __init__(self, *arguments: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, dict):
            self.__dict__.update(state)


@dataclass(frozen=True)
class Checkpoint:
    """Of a checkpoint: the state dict in float32, the hash of the file, the `yaml` that describes the network, plain
    or None, the `size` of the images that it was trained on, and what else its module holds."""

    state: State
    key: str
    yaml: Any
    size: int | None
    attributes: dict[str, Any]


def read_checkpoint(path: Path) -> Checkpoint:
    """A checkpoint of ultralytics with what it says of its network. Raises UserError."""
    content = _content(path)
    module = _innermost(path, content)
    state, key = _exact(path, _state(path, module))
    attributes = dict(vars(module)) if isinstance(module, _StandIn) else {}
    arguments = content.get("train_args") if isinstance(content, dict) else None
    size = arguments.get("imgsz") if isinstance(arguments, dict) else None
    return Checkpoint(state, key, attributes.get("yaml"), size if isinstance(size, int) else None, attributes)


def read_weights(path: Path) -> tuple[State, str]:
    """The state dict in a file, in float32, and the hash of the file. Raises UserError."""
    if path.suffix == ".safetensors":
        return _exact(path, _safetensors(path))
    if path.suffix in (".pt", ".pth"):
        return _exact(path, _state(path, _innermost(path, _content(path))))
    raise UserError(f"weights {path}: not a .pt, .pth or .safetensors file")


def _exact(path: Path, state: State) -> tuple[State, str]:
    try:
        exact = {name: value.float() if value.is_floating_point() else value for name, value in state.items()}
    except (RuntimeError, MemoryError) as error:
        raise UserError(f"weights {path} cannot be held in float32: {first_line(error)}") from None
    return exact, hashlib.sha256(path.read_bytes()).hexdigest()


def _safetensors(path: Path) -> State:
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise UserError(f"weights {path} cannot be read: {error}") from None


def _content(path: Path) -> Any:
    """What is in a checkpoint, with stand-ins for modules."""
    try:
        wanted = torch.serialization.get_unsafe_globals_in_checkpoint(path)
        with torch.serialization.safe_globals([_stand_in(path, name) for name in wanted]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except UserError:
        raise
    except Exception as error:  # noqa: BLE001 (the reader has many, and all say that this is not what it can read)
        raise UserError(f"weights {path} cannot be read: {first_line(error)}") from None


def _innermost(path: Path, content: Any) -> Any:
    """The model of a checkpoint: a stand-in, or a state dict."""
    for _ in range(_DEEPEST):
        if not isinstance(content, dict):
            return content
        inner = next((content[name] for name in ("ema", "model") if content.get(name) is not None), None)
        if inner is None:
            return content
        content = inner
    raise UserError(f"weights {path}: dictionaries in dictionaries, {_DEEPEST} deep or without an end")


def _state(path: Path, content: Any) -> State:
    """A state dict, or that of a module."""
    state = dict(_state_dict(path, content)) if isinstance(content, _StandIn) else content
    if isinstance(state, dict) and state and all(isinstance(value, torch.Tensor) for value in state.values()):
        return {str(name): value for name, value in state.items()}
    raise UserError(f"weights {path}: neither a state dict nor a checkpoint that holds a model")


def _state_dict(path: Path, module: _StandIn) -> Iterator[tuple[str, Any]]:
    """What `state_dict()` of a module would give. Raises UserError for one that contains itself."""
    todo, count = [("", module)], 0
    while todo:
        prefix, module = todo.pop()
        if (count := count + 1) > _MOST or prefix.count(".") > _DEEPEST:
            raise UserError(f"weights {path}: modules in modules, without an end")
        kept_out = getattr(module, "_non_persistent_buffers_set", None)
        kept_out = kept_out if isinstance(kept_out, set) else ()
        for kind in ("_parameters", "_buffers"):
            for name, value in _dictionary(module, kind).items():
                if value is not None and name not in kept_out:
                    yield f"{prefix}{name}", value
        children = [(f"{prefix}{name}.", child) for name, child in _dictionary(module, "_modules").items()]
        todo += [(name, child) for name, child in reversed(children) if isinstance(child, _StandIn)]


def _dictionary(module: _StandIn, name: str) -> dict[str, Any]:
    found = getattr(module, name, None)
    return found if isinstance(found, dict) else {}


def _stand_in(path: Path, name: str) -> type[_StandIn]:
    """A class of this name without any of its code, if the class is of torch or ultralytics. Raises UserError for any
    other."""
    package, _, attribute = name.rpartition(".")
    if name in _PLAIN or name.startswith(_MODULES):
        return type(attribute, (_StandIn,), {"__module__": package, "__qualname__": attribute})
    raise UserError(f"weights {path} want {name} to be called, which is refused: save the state dict as .safetensors")
