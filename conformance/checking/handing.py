"""A module taken to the process that compiles it: in a file that only this user can read, gone with this process."""

from __future__ import annotations

import atexit
import copy
import sys
import tempfile
from functools import cache
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from conformance.core.errors import UserError, first_line

if TYPE_CHECKING:
    from torch import nn

_numbers = count()


def handed(module: nn.Module, inputs: Any) -> Path:
    """The file that a module and its inputs are in. Raises UserError where they cannot be written."""
    import cloudpickle

    by_value = [known for known in map(sys.modules.get, _modules(module, inputs)) if known and not _found(known)]
    for known in by_value:
        cloudpickle.register_pickle_by_value(known)
    try:
        content = cloudpickle.dumps((_on_cpu(module), inputs))
    except Exception as error:
        raise UserError(
            f"{type(module).__name__} cannot be taken to the process that compiles it: {first_line(error)}; give "
            "package.module:factory instead, which that process calls itself"
        ) from error
    finally:
        for known in by_value:
            cloudpickle.unregister_pickle_by_value(known)
    path = _folder() / f"{next(_numbers)}.pkl"
    path.write_bytes(content)
    return path


def _on_cpu(module: nn.Module) -> nn.Module:
    """The module, or a copy of it where its weights are on a device that the other process need not have."""
    held = [*module.parameters(), *module.buffers()]
    return module if all(x.device.type in ("cpu", "meta") for x in held) else copy.deepcopy(module).cpu()


def _modules(module: nn.Module, inputs: Any) -> set[str]:
    """The names of the modules in which the model's classes, and its function of inputs, are written."""
    return {type(part).__module__ for part in module.modules()} | {getattr(inputs, "__module__", None) or ""}


def _found(module: ModuleType) -> bool:
    """Whether another process finds it by its name, as it does not find what pytest or a notebook has put there."""
    if module.__name__ == "__main__":
        return True  # which is written by value, whatever it is
    try:
        return find_spec(module.__name__.partition(".")[0]) is not None and module.__spec__ is not None
    except (ImportError, ValueError):
        return False


@cache
def _folder() -> Path:
    folder = tempfile.TemporaryDirectory(prefix="conformance-")
    atexit.register(folder.cleanup)
    return Path(folder.name)
