"""Installed packages and compilers: versions, builds, and which of them do not belong together."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from conformance.cases.releases import Release
from conformance.host.facts import Packages
from conformance.host.probe import Host
from conformance.host.sdk import COMPILER, FRAMEWORK, identify, torch_neuronx_kind

NAMES = (
    "neuron-conformance", COMPILER, FRAMEWORK, "libneuronxla", "torch-xla", "torch", "torchvision", "ultralytics",
    "openvino", "onnxruntime", "onnx", "onnxscript",
)  # fmt: skip
COMPILERS = ("g++", COMPILER)


def find_packages(
    host: Host, known: Mapping[str, Release], system: Mapping[str, str | None] | None = None
) -> Packages:
    """All that is known without importing any of them. `known` are the SDK releases, `system` the versions of AWS's
    packages of the operating system."""
    versions = {name: host.version(name) for name in NAMES}
    compilers = {name: host.tool(name) for name in COMPILERS}
    return Packages(
        versions=versions,
        torch_build=_build(host, "torch"),
        torchvision_build=_build(host, "torchvision"),
        torch_neuronx=torch_neuronx_kind(versions[FRAMEWORK]),
        sdk=identify({**(system or {}), **versions}, known),
        conflicts=tuple(_conflicts(host, versions)),
        compilers=compilers,
        compiler_off_path=None if compilers[COMPILER] else _off_path(host),
    )


def _off_path(host: Host) -> str | None:
    """The compiler of the environment that Python runs in, where that was not activated."""
    path = host.environment / "bin" / COMPILER
    return str(path) if path.is_file() else None


def _build(host: Host, module: str) -> str | None:
    """`cu130`. Wheels on PyPI keep it out of their metadata, so it is read where the package itself looks."""
    folder = host.folder(module)
    text = host.read(folder / "version.py") if folder else None
    found = re.search(r"""^__version__ = ['"][^'"+]*\+([^'"]+)""", text or "", re.MULTILINE)
    return found[1] if found else None


def _conflicts(host: Host, versions: Mapping[str, str | None]) -> Iterator[str]:
    """What `pip check` would say of these packages, and of torch-xla, whose metadata keeps its torch secret."""
    for name, version in versions.items():
        if version is None:
            continue
        for text in host.requirements(name):
            complaint = _unmet(text, versions)
            if complaint:
                yield f"{name} {version} needs {complaint}"
    xla, torch = versions["torch-xla"], versions["torch"]
    if xla and torch and _line(xla) != _line(torch):
        yield f"torch-xla {xla} needs torch {_line(xla)}, but {torch} is installed"


def _unmet(text: str, versions: Mapping[str, str | None]) -> str | None:
    try:
        needed = Requirement(text)
    except InvalidRequirement:
        return None
    name = canonicalize_name(needed.name)
    if name not in versions or (needed.marker and not needed.marker.evaluate({"extra": ""})):
        return None
    found = versions[name]
    if found is None:
        return f"{name}, which is not installed"
    if needed.specifier.contains(found, prereleases=True):
        return None
    return f"{name}{needed.specifier}, but {found} is installed"


def _line(version: str) -> str:
    """`2.9`."""
    return ".".join(version.split(".")[:2])
