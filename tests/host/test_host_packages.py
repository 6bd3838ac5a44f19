from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from conformance.cases.releases import Release
from conformance.host.packages import find_packages
from conformance.host.probe import Host, package_folder


@pytest.fixture
def with_builds(bare: Host, tmp_path: Path) -> Callable[..., Host]:
    """The bare host with packages that have a version.py: {module: its __version__}."""

    def make(**versions: str) -> Host:
        for module, version in versions.items():
            folder = tmp_path / "site" / module
            folder.mkdir(parents=True)
            (folder / "version.py").write_text(f"import os\n__version__ = '{version}'\ndebug = 'a+b'\n")
        return replace(bare, folder=lambda module: tmp_path / "site" / module if module in versions else None)

    return make


def test_versions_are_those_of_the_host(with_packages: Callable[..., Host], known: dict[str, Release]) -> None:
    found = find_packages(with_packages({"torch": "2.9.0+cpu", "numpy": "2.0"}), known)
    assert found.versions["torch"] == "2.9.0+cpu"
    assert found.versions["openvino"] is None
    assert "numpy" not in found.versions


def test_this_environment_is_seen_without_an_import() -> None:
    found = find_packages(Host(), {})
    assert found.versions["neuron-conformance"] is not None
    assert found.versions["torch"] is not None
    folder = package_folder("torch")
    assert folder is not None
    assert folder.name == "torch"


def test_builds_are_read_from_the_packages_themselves(
    with_builds: Callable[..., Host], known: dict[str, Release]
) -> None:
    found = find_packages(with_builds(torch="2.13.0+cpu", torchvision="0.28.0+cu130"), known)
    assert (found.torch_build, found.torchvision_build) == ("cpu", "cu130")


def test_a_version_without_a_build_has_none(with_builds: Callable[..., Host], known: dict[str, Release]) -> None:
    found = find_packages(with_builds(torch="2.13.0"), known)
    assert (found.torch_build, found.torchvision_build) == (None, None)


@pytest.mark.parametrize(
    ("versions", "needs", "conflicts"),
    [
        ({"torch": "2.9.0+cpu"}, "torch==2.9.0", ()),
        ({"torch": "2.9.1"}, "torch==2.9.0", ("torchvision 1 needs torch==2.9.0, but 2.9.1 is installed",)),
        ({"torch": "2.9.0"}, "torch>=2.10; python_version < '3'", ()),
        ({"torch": "2.9.0"}, "torch>=2.10; extra == 'gpu'", ()),
        ({"torch": "2.14.0.dev1"}, "torch>=2.10", ()),
        ({}, "torch", ("torchvision 1 needs torch, which is not installed",)),
        ({}, "Torch_XLA>=2", ("torchvision 1 needs torch-xla, which is not installed",)),
        ({}, "numpy>=99", ()),
        ({}, "not a requirement at all", ()),
    ],
)
def test_what_does_not_belong_together(
    with_packages: Callable[..., Host],
    known: dict[str, Release],
    versions: dict[str, str],
    needs: str,
    conflicts: tuple[str, ...],
) -> None:
    host = with_packages({"torchvision": "1", **versions}, {"torchvision": [needs], "openvino": ["torch==1"]})
    assert find_packages(host, known).conflicts == conflicts


@pytest.mark.parametrize(
    ("torch", "conflicts"),
    [("2.9.1+cu128", ()), ("2.13.0", ("torch-xla 2.9.0 needs torch 2.9, but 2.13.0 is installed",))],
)
def test_torch_xla_needs_the_torch_of_its_own_line(
    with_packages: Callable[..., Host], known: dict[str, Release], torch: str, conflicts: tuple[str, ...]
) -> None:
    assert find_packages(with_packages({"torch": torch, "torch-xla": "2.9.0"}), known).conflicts == conflicts


def test_compilers_on_the_path(bare: Host, with_tool: Callable[..., str], known: dict[str, Release]) -> None:
    gcc = with_tool("g++", "")
    assert find_packages(bare, known).compilers == {"g++": gcc, "neuronx-cc": None}


def test_a_compiler_in_an_environment_that_is_not_activated(
    bare: Host, with_tool: Callable[..., str], known: dict[str, Release]
) -> None:
    there = with_tool("neuronx-cc", "", folder=bare.environment / "bin")
    assert find_packages(bare, known).compiler_off_path == there
    with_tool("neuronx-cc", "", folder=Path(bare.path or ""))
    assert find_packages(bare, known).compiler_off_path is None
