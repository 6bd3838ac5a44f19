from __future__ import annotations

import pytest

from conformance.cases.releases import Release, releases
from conformance.host.facts import Sdk, TorchNeuronx
from conformance.host.sdk import identify, torch_neuronx_kind


def test_versions_of_a_release_are_that_release() -> None:
    found = identify({"neuronx-cc": "2.24.8799.0", "torch-neuronx": "2.9.0.2.13.26312"}, releases())
    assert found == Sdk("2.29.1", "2.29.1", {"neuronx-cc": "2.29.1", "torch-neuronx": "2.29.1"})


def test_the_build_behind_a_version_does_not_matter(known: dict[str, Release]) -> None:
    found = identify({"neuronx-cc": "2.23.6484.0+3b612583", "torch-neuronx": "2.8.0.2.12.22436+fb0e25b3"}, known)
    assert found is not None
    assert found.release == "2.28.0"


def test_what_aws_installs_for_2_32_is_that_release() -> None:
    """Its manifest has no torch-neuronx; the installation page takes that of 2.31."""
    found = identify({"neuronx-cc": "2.27.5334.0", "torch-neuronx": "2.9.0.2.15.32035"}, releases())
    assert found is not None
    assert found.release == found.closest == found.packages["torch-neuronx"] == "2.32.0"


@pytest.mark.parametrize(
    ("system", "release"),
    [
        ({"aws-neuronx-tools": "2.31.13.0"}, "2.31.0"),
        ({"aws-neuronx-tools": "2.31.15.0"}, "2.31.1"),
        ({"aws-neuronx-tools": "2.31.15.0", "aws-neuronx-dkms": "2.29.0.0"}, "2.31.1"),
        ({"aws-neuronx-tools": "2.30.10.0"}, "2.31.1"),
        ({}, "2.31.1"),
    ],
)
def test_releases_of_the_same_compiler_are_told_apart_by_the_tools(system: dict[str, str], release: str) -> None:
    """Tools that are of neither say nothing: then it is the newest."""
    found = identify({"neuronx-cc": "2.26.6360.0", "torch-neuronx": "2.9.0.2.15.32035", **system}, releases())
    assert found is not None
    assert found.release == release


@pytest.mark.parametrize(
    ("compiler", "framework", "expected"),
    [
        ("2.27.5334.0", "2.9.0.2.15.32035", Sdk(None, "2.32.0", {"neuronx-cc": "2.32.0", "torch-neuronx": "2.31.0"})),
        ("2.26.9.9", "2.9.0.2.15.32035", Sdk(None, "2.31.0", {"neuronx-cc": None, "torch-neuronx": "2.31.0"})),
        ("2.26.6360.0", "2.9.0.0.0.1", Sdk(None, "2.31.0", {"neuronx-cc": "2.31.0", "torch-neuronx": None})),
        ("2.26.9999.0", "2.9.0.0.0.1", Sdk(None, "2.31.0", {"neuronx-cc": None, "torch-neuronx": None})),
        ("2.28.7631.0", "2.13.3.0.1", Sdk(None, "2.32.0", {"neuronx-cc": None, "torch-neuronx": None}, newer=True)),
        (
            "2.28.7631.0",
            "2.9.0.2.15.32035",
            Sdk(None, "2.32.0", {"neuronx-cc": None, "torch-neuronx": "2.31.0"}, newer=True),
        ),
        ("2.5.0.0", None, Sdk(None, "2.28.0", {"neuronx-cc": None})),
        ("2.27.5334.0", None, Sdk("2.32.0", "2.32.0", {"neuronx-cc": "2.32.0"})),
        (None, "2.9.0.2.12.22436", Sdk("2.28.0", "2.28.0", {"torch-neuronx": "2.28.0"})),
        (None, "2.13.3.0.1", Sdk(None, None, {"torch-neuronx": None})),
        ("unknown", None, Sdk(None, None, {"neuronx-cc": None})),
    ],
)
def test_combinations(known: dict[str, Release], compiler: str | None, framework: str | None, expected: Sdk) -> None:
    assert identify({"neuronx-cc": compiler, "torch-neuronx": framework}, known) == expected


def test_nothing_installed_is_no_sdk(known: dict[str, Release]) -> None:
    assert identify({"neuronx-cc": None, "torch-neuronx": None, "torch": "2.9.0"}, known) is None
    assert identify({}, known) is None


@pytest.mark.parametrize(
    ("version", "kind"),
    [
        ("1.13.1.1.19.0", TorchNeuronx.XLA),
        ("2.9.0.2.15.32035+8e870898", TorchNeuronx.XLA),
        ("2.10.0", None),
        ("2.12.9", None),
        ("2.13.3.0.5678", TorchNeuronx.NATIVE),
        ("2.14.3.0.1", TorchNeuronx.NATIVE),
        ("3.0", TorchNeuronx.NATIVE),
        (None, None),
        ("dev", None),
    ],
)
def test_two_libraries_are_called_torch_neuronx(version: str | None, kind: TorchNeuronx | None) -> None:
    assert torch_neuronx_kind(version) is kind


@pytest.mark.parametrize("version", ["2.13.3.0", "2.14.3.0.5678"])
def test_native_torch_neuronx_is_of_its_release_too(version: str) -> None:
    found = identify({"neuronx-cc": "2.28.7631.0+1a2b3c4d", "torch-neuronx": version}, releases())
    assert found is not None
    assert (found.release, found.closest) == ("2.33.0", "2.33.0")
