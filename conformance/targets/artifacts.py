"""Compiled programs on disk, under the hash of what they were compiled from; checked on read."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from conformance.core.deferred import torch
from conformance.core.store import cache_folder, digest

if TYPE_CHECKING:
    from conformance.programs.program import Program

# Of the environment, what changes how a program is lowered or compiled.
_PREFIXES = ("XLA_", "NEURON_CC", "NEURON_FUSE", "NEURON_CUSTOM")


def artifact_key(program: Program, recipe: dict[str, object]) -> str | None:
    """The name of what is compiled of a program by a recipe, in this environment; None where the program has no
    exported graph to know it by, and is compiled anew."""
    try:
        exported = program.exported
    except Exception:  # noqa: BLE001 (torch.export has limits that torch-xla has not)
        return None
    weights = hashlib.blake2b()
    for name, value in sorted({**exported.state_dict, **exported.constants}.items()):
        weights.update(f"{name} {getattr(value, 'shape', '')} {getattr(value, 'dtype', '')}".encode())
        if hasattr(value, "numpy"):
            weights.update(value.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    variables = {name: value for name, value in sorted(os.environ.items()) if name.startswith(_PREFIXES)}
    graph = {
        "graph": str(exported.graph),
        "inputs": [f"{x.dtype} {tuple(x.shape)}" for x in program.inputs],
        "weights": weights.hexdigest(),
    }
    return digest({**recipe, **graph, "variables": variables})


def artifact(key: str | None, folder: Path, make: Callable[[Path], None]) -> Path:
    """The file of this name, made by `make` where there is none, or a damaged one. Without a name: in `folder`."""
    if key is None:
        make(path := folder / "program.pt")
        return path
    store = cache_folder() / "compiled"
    store.mkdir(parents=True, exist_ok=True)
    path, checksum = store / f"{key}.pt", store / f"{key}.blake2b"
    with FileLock(store / f"{key}.lock"):
        if not (path.is_file() and checksum.is_file() and checksum.read_text() == _sum(path)):
            part = store / f"{key}.{os.getpid()}"
            make(part)
            part.replace(path)
            checksum.write_text(_sum(path))
    return path


def _sum(path: Path) -> str:
    return hashlib.blake2b(path.read_bytes()).hexdigest()
