"""A fault that is drawn."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.power.edits import Edit


@dataclass(frozen=True)
class Plant:
    """What exactly is wrong, in words, and the edit that makes it so.

    `where` names what it changes, if that is more than the node it was drawn at.
    """

    detail: str
    edit: Edit
    where: str | None = None
