"""Which SDK release installed versions belong to, and which of the two libraries torch-neuronx is."""

from __future__ import annotations

import re
from collections.abc import Mapping

from packaging.version import InvalidVersion, Version

from conformance.cases.releases import Release
from conformance.host.facts import Sdk, TorchNeuronx

COMPILER, FRAMEWORK = "neuronx-cc", "torch-neuronx"
TOOLS, DRIVER = "aws-neuronx-tools", "aws-neuronx-dkms"


def torch_neuronx_kind(version: str | None) -> TorchNeuronx | None:
    """Up to 2.9 the one that traces, from 2.13 the native one. None where it is not installed or neither."""
    found = re.match(r"(\d+)\.(\d+)", version or "")
    if not found:
        return None
    line = (int(found[1]), int(found[2]))
    if line <= (2, 9):
        return TorchNeuronx.XLA
    return TorchNeuronx.NATIVE if line >= (2, 13) else None


def identify(versions: Mapping[str, str | None], known: Mapping[str, Release]) -> Sdk | None:
    """The release that neuronx-cc and torch-neuronx are of; None where neither is installed. Of several that have the
    same, the one of the tools and the driver of the system, `aws-neuronx-tools` and `aws-neuronx-dkms`, or else the
    newest."""
    installed = {package: public(found) for package in (COMPILER, FRAMEWORK) if (found := versions.get(package))}
    if not installed:
        return None
    owners = {
        package: [name for name, release in known.items() if _has(release, package, found)]
        for package, found in installed.items()
    }
    if common := [name for name in known if all(name in names for names in owners.values())]:
        alike = [name for name in common if _is_of_the_system(known[name], versions)]
        release = (alike or common)[-1]
        return Sdk(release, release, dict.fromkeys(owners, release))
    packages = {package: next(iter(names), None) for package, names in owners.items()}
    of_one = next((name for name in packages.values() if name), None)
    closest = _nearest(installed.get(COMPILER), known)
    newer = closest is not None and closest == [*known][-1] and packages.get(COMPILER) is None
    return Sdk(None, closest if newer else of_one or closest, packages, newer)


def _is_of_the_system(release: Release, versions: Mapping[str, str | None]) -> bool:
    parts = {TOOLS: release.tools, DRIVER: release.driver}
    found = [versions[name] == version for name, version in parts.items() if versions.get(name)]
    return bool(found) and all(found)


def public(version: str) -> str:
    """The version without the build that AWS's wheels have behind it: `2.24.8799.0+6f62ff7c`."""
    return version.partition("+")[0]


def _has(release: Release, package: str, version: str) -> bool:
    """Of the native library a release's versions are known without their last part."""
    if package == COMPILER:
        return version == release.neuronx_cc
    native = (f"{known}." for known in release.torch_neuronx_native)
    return version in release.torch_neuronx or f"{version}.".startswith(tuple(native))


def _nearest(compiler: str | None, known: Mapping[str, Release]) -> str | None:
    """The newest release whose compiler is not newer, or the oldest."""
    try:
        ours = Version(compiler or "")
    except InvalidVersion:
        return None
    older = [name for name, release in known.items() if Version(release.neuronx_cc) <= ours]
    return older[-1] if older else next(iter(known), None)
