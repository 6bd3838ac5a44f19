"""The passes of a compiler as settings: which of them changed a program, and what it compiles to without some."""

from __future__ import annotations

from collections.abc import Iterable

LIST = "list-passes"  # the target tells which passes changed the program
_WITHOUT = "without-"


def without(passes: Iterable[str]) -> tuple[str, ...]:
    """The settings that leave passes out."""
    return tuple(f"{_WITHOUT}{name}" for name in passes)


def is_without(setting: str) -> bool:
    """Whether it is the setting that leaves a pass out."""
    return setting.startswith(_WITHOUT)


def left_out(settings: Iterable[str]) -> list[str]:
    """The passes that settings leave out."""
    return [setting.removeprefix(_WITHOUT) for setting in settings if is_without(setting)]
