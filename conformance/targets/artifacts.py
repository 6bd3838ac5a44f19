"""Compiled programs on disk, under the hash of what they were compiled from; checked on read."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from conformance.core.deferred import torch
from conformance.core.store import cache_folder, digest
from conformance.targets.protocol import CompileError

if TYPE_CHECKING:
    from conformance.programs.program import Program

# Of the environment, what changes how a program is lowered or compiled.
_PREFIXES = ("XLA_", "NEURON_CC", "NEURON_FUSE", "NEURON_CUSTOM")
_LARGEST = 64 * 2**20  # bytes of a file that is kept of a failed compile: weights are larger, and are not needed
_KEPT = 50  # failed compiles


def program_variables() -> dict[str, str]:
    """The variables of the environment that change how a program is lowered or compiled."""
    return {name: value for name, value in sorted(os.environ.items()) if name.startswith(_PREFIXES)}


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
    graph = {
        "graph": str(exported.graph),
        "inputs": [f"{x.dtype} {tuple(x.shape)}" for x in program.inputs],
        "weights": weights.hexdigest(),
    }
    return digest({**recipe, **graph, "variables": program_variables()})


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


def hlo_file(key: str) -> Path:
    """Where the HLO is kept that a compiler was given for what has this name."""
    return cache_folder() / "hlo" / f"{key}.hlo"


def keep_hlo(key: str | None, folder: Path) -> None:
    """Keep what torch-neuronx has handed to the compiler, from the folder that it works in."""
    found = next(folder.rglob("graph.hlo"), None)
    if key is None or found is None or found.stat().st_size > _LARGEST:
        return
    kept = hlo_file(key)
    kept.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(found, part := kept.with_suffix(f".{os.getpid()}"))
    part.replace(kept)


@contextmanager
def kept_if_it_fails(key: str | None, folder: Path, recipe: dict[str, object]) -> Iterator[None]:
    """Where a compiler fails inside, what lies in its folder (graph, command line, log) is kept with the recipe, and
    the error says where."""
    try:
        yield
    except CompileError as error:
        kept = cache_folder() / "failures" / (key or digest({**recipe, "time": time.time()}))
        kept.mkdir(parents=True, exist_ok=True)
        for path in folder.rglob("*"):
            if path.is_file() and path.stat().st_size <= _LARGEST:
                (there := kept / path.relative_to(folder)).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, there)
        (kept / "made-with.json").write_text(json.dumps({**recipe, "variables": program_variables()}, indent=1))
        os.utime(kept)
        for old in sorted(kept.parent.iterdir(), key=lambda path: path.stat().st_mtime)[:-_KEPT]:
            shutil.rmtree(old, ignore_errors=True)
        error.evidence = str(kept)
        raise


def _sum(path: Path) -> str:
    return hashlib.blake2b(path.read_bytes()).hexdigest()
