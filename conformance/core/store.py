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

from conformance.core.deferred import torch

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
        """The entry, or None where there is none or one of its files is damaged or edited."""
        from safetensors.torch import load

        try:
            written = json.loads((self.folder / f"{key}.json").read_text(encoding="utf-8"))
            data = (self.folder / f"{key}.safetensors").read_bytes()
            note = written["note"]
            if written["blake2b"] != _sum(note, data):
                return None
        except (OSError, ValueError, KeyError, TypeError):
            return None
        tensors = load(data)
        return tensors | {name: torch.view_as_complex(tensors[name]) for name in written["complex"]}, note

    def save(self, key: str, tensors: Mapping[str, Tensor], note: Mapping[str, Any]) -> None:
        """Write an entry; the note goes last, so that a half-written entry is no entry."""
        from safetensors.torch import save

        pairs = {name: torch.view_as_real(x) for name, x in tensors.items() if x.is_complex()}  # it has no complex
        data = save({name: x.contiguous() for name, x in {**tensors, **pairs}.items()})
        checked = {"note": note, "complex": list(pairs), "blake2b": _sum(note, data)}
        self.folder.mkdir(parents=True, exist_ok=True)
        for name, content in ((f"{key}.safetensors", data), (f"{key}.json", json.dumps(checked).encode())):
            part = self.folder / f"{name}.{os.getpid()}"
            part.write_bytes(content)
            part.replace(self.folder / name)


def _sum(note: Any, data: bytes) -> str:
    """The checksum of an entry, over its note and its tensors."""
    return hashlib.blake2b(json.dumps(note, sort_keys=True).encode() + b"\n" + data).hexdigest()
