"""Weights from a file: a safetensors, or a checkpoint of ultralytics, read without running anything that is in it."""

from __future__ import annotations

import hashlib
import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conformance.cases.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

State = dict[str, "Tensor"]
# Beside modules of these packages, what an ultralytics checkpoint holds of its training options.
_MODULES = ("torch.nn.modules.", "ultralytics.nn.")
_PLAIN = ("ultralytics.utils.IterableSimpleNamespace",)


def read_weights(path: Path) -> tuple[State, str]:
    """The state dict in a file, in float32, and the hash of the file. Raises UserError."""
    if path.suffix == ".safetensors":
        state = _safetensors(path)
    elif path.suffix in (".pt", ".pth"):
        state = _checkpoint(path)
    else:
        raise UserError(f"weights {path}: not a .pt, .pth or .safetensors file")
    exact = {name: value.float() if value.is_floating_point() else value for name, value in state.items()}
    return exact, hashlib.sha256(path.read_bytes()).hexdigest()


def _safetensors(path: Path) -> State:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise UserError(f"weights {path} cannot be read: {error}") from None


def _checkpoint(path: Path) -> State:
    """A state dict, or the state dict of the module in a checkpoint. Only modules are ever made of it."""
    import torch

    try:
        wanted = torch.serialization.get_unsafe_globals_in_checkpoint(path)
        with torch.serialization.safe_globals([_allowed(path, name) for name in wanted]):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except UserError:
        raise
    except Exception as error:  # the reader has many, and all say that this is not what it can read
        raise UserError(f"weights {path} cannot be read: {str(error).splitlines()[0]}") from None
    while isinstance(content, dict) and (inner := content.get("ema") or content.get("model")) is not None:
        content = inner
    if isinstance(content, torch.nn.Module):
        return content.state_dict()
    if isinstance(content, dict) and content and all(isinstance(value, torch.Tensor) for value in content.values()):
        return content
    raise UserError(f"weights {path}: neither a state dict nor a checkpoint that holds a model")


def _allowed(path: Path, name: str) -> Any:
    """The class of this name, if it is a module of torch or ultralytics. Raises UserError for any other."""
    import torch

    package, _, attribute = name.rpartition(".")
    if name in _PLAIN or name.startswith(_MODULES):
        found = getattr(importlib.import_module(package), attribute, None)
        if name in _PLAIN or (isinstance(found, type) and issubclass(found, torch.nn.Module)):
            return found
    raise UserError(f"weights {path} want {name} to be called, which is refused: save the state dict as .safetensors")
