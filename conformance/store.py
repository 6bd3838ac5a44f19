"""Tensors on disk under the hash of what they were made from; checked on read, never pickled."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock
from platformdirs import user_cache_path

if TYPE_CHECKING:
    from torch import Tensor

Entry = tuple["dict[str, Tensor]", dict[str, Any]]


def cache_folder() -> Path:
    """Where weights and references are kept: `$CONFORMANCE_CACHE`, or the user's cache folder."""
    return Path(os.environ.get("CONFORMANCE_CACHE") or user_cache_path("neuron-conformance"))


def digest(recipe: Mapping[str, Any]) -> str:
    """The name of what a recipe (plain JSON values) makes."""
    return hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:20]


class Store:
    """One folder of entries. An entry is named tensors and a JSON note."""

    def __init__(self, kind: str) -> None:
        self.folder = cache_folder() / kind

    def lock(self, key: str) -> FileLock:
        """Hold this while making an entry, so that two workers do not both make it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return FileLock(self.folder / f"{key}.lock")

    def load(self, key: str) -> Entry | None:
        """The entry, or None where there is none or its file is damaged."""
        from safetensors.torch import load

        try:
            note = json.loads((self.folder / f"{key}.json").read_text())
            data = (self.folder / f"{key}.safetensors").read_bytes()
        except (OSError, ValueError):
            return None
        if hashlib.blake2b(data).hexdigest() != note.pop("blake2b", None):
            return None
        return load(data), note

    def save(self, key: str, tensors: Mapping[str, Tensor], note: Mapping[str, Any]) -> None:
        """Write an entry; the note goes last, so that a half-written entry is no entry."""
        from safetensors.torch import save

        data = save({name: tensor.contiguous() for name, tensor in tensors.items()})
        checked = {**note, "blake2b": hashlib.blake2b(data).hexdigest()}
        self.folder.mkdir(parents=True, exist_ok=True)
        for name, content in ((f"{key}.safetensors", data), (f"{key}.json", json.dumps(checked).encode())):
            part = self.folder / f"{name}.{os.getpid()}"
            part.write_bytes(content)
            part.replace(self.folder / name)
