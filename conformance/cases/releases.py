"""Neuron SDK releases and the package versions they consist of (`matrices/releases.toml`)."""

from __future__ import annotations

from functools import cache

from conformance.cases.outcome import Strict
from conformance.core.errors import unknown
from conformance.core.reading import data_path, read_toml


class Release(Strict):
    """One SDK release. Versions are those of its manifest.

    `torch` lists the torch lines it supports, `torch_neuronx` the library that traces, one for each of them, and
    `torch_neuronx_native` the other library of that name, which compiles with torch.compile. `runtime` is
    aws-neuronx-runtime-lib, `driver` aws-neuronx-dkms, `tools` aws-neuronx-tools.
    """

    date: str
    neuronx_cc: str
    torch: list[str]
    torch_neuronx: list[str]
    torch_neuronx_native: list[str] = []
    libneuronxla: list[str]
    runtime: str
    driver: str
    tools: str
    python: list[str]

    @property
    def packages(self) -> dict[str, str]:
        """The versions that decide which known defects the release has, with the newest torch it supports.

        torch-xla is not in AWS's manifest: torch-neuronx needs the one that belongs to its torch.
        """
        versions = {
            "neuronx-cc": self.neuronx_cc,
            "libneuronxla": self.libneuronxla[-1],
            "aws-neuronx-runtime-lib": self.runtime,
        }
        if self.torch_neuronx:
            versions |= {"torch-neuronx": self.torch_neuronx[-1], "torch-xla": self.torch[-1]}
        return versions


class Releases(Strict):
    """The whole file."""

    source: str
    release: dict[str, Release]


@cache
def releases() -> dict[str, Release]:
    """All known releases by name, oldest first."""
    return read_toml(data_path("releases.toml"), Releases).release


def resolve(sdk: str) -> str:
    """`2.28` means `2.28.0`. Raises UserError for a release that is not known."""
    for name in (sdk, f"{sdk}.0"):
        if name in releases():
            return name
    raise unknown("SDK release", sdk, releases())
