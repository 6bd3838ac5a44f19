"""The source of everything that was imported and that no package has installed: a user's own code."""

from __future__ import annotations

import hashlib
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

_INSTALLED = tuple({Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib", "purelib", "platlib")})
_OURS = Path(__file__).resolve().parents[1]


def own_code() -> dict[str, str]:
    """The hash of each file, by the name of its module."""
    return {name: _content(path) for name, path in _files()}


def _files() -> Iterator[tuple[str, Path]]:
    for name, module in list(sys.modules.items()):
        if file := getattr(module, "__file__", None):
            path = Path(file).absolute()
            if not any(path.is_relative_to(folder) for folder in (*_INSTALLED, _OURS)):
                yield name, path


def _content(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:  # in an archive, or gone
        return str(path)
