"""Profiles: declared sets of axes (`matrices/profiles/*.toml`) that expand to cases."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from conformance.cases.outcome import Strict
from conformance.core.errors import unknown
from conformance.core.reading import data_path, read_toml


class Models(Strict):
    """A block of models: the product of its axes. `isolated` makes cases of their single layers instead; `weights`
    are shapes, pretrained or files, and none means the systems' own seeded ones.

    `targets` are those that run the block when none is named on the command line; else all do.
    """

    system: str
    variants: list[str] = Field(min_length=1)
    tasks: list[str] = Field(min_length=1)
    batches: list[int] = Field(min_length=1)
    resolutions: list[str] = Field(min_length=1)
    dtypes: list[str] = Field(default=["float32"], min_length=1)
    weights: list[str] = Field(default=[])
    isolated: bool = False
    targets: list[str] | None = None


class TargetAxes(Strict):
    """What a target is asked to stand for: all it offers where a list is absent; [[]] is none of them."""

    hardware: list[str] | None = None
    sdks: list[str] | None = None
    settings: list[list[str]] = Field(default=[[]])
    workarounds: list[list[str]] = Field(default=[[]])


class Profile(Strict):
    """`targets` run when none is named on the command line; `target` holds the axes of each, named or not."""

    description: str
    targets: list[str]
    models: list[Models]
    target: dict[str, TargetAxes] = Field(default_factory=dict)


def profile_names() -> list[str]:
    """The profiles that come with the suite."""
    return sorted(path.stem for path in data_path("profiles").glob("*.toml"))


def load_profile(name: str) -> Profile:
    """A profile by name or by path of a TOML file. Raises UserError."""
    if name.endswith(".toml"):
        return read_toml(Path(name), Profile)
    if name not in profile_names():
        raise unknown("profile", name, [*profile_names(), "a path ending in .toml"])
    return read_toml(data_path("profiles", f"{name}.toml"), Profile)
