"""Each environment of matrices/environments.toml can be made: its release, extras, pins and targets are there."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from conformance.cases.releases import releases
from conformance.targets.loading import target_names

ROOT = Path(__file__).parents[1]
pytest.importorskip("nox")


@pytest.fixture(scope="module")
def noxfile() -> ModuleType:
    spec = importlib.util.spec_from_file_location("noxfile", ROOT / "noxfile.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_environments_name_what_there_is(noxfile: ModuleType) -> None:
    extras = noxfile.tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert {"cpu", "xla", "sdk-2.29.1", "sdk-2.33.0"} <= set(noxfile.ENVIRONMENTS)
    for name, environment in noxfile.ENVIRONMENTS.items():
        assert set(environment) <= {"description", "targets", "extras", "pins", "sdk", "framework", "image"}, name
        assert set(environment["targets"]) <= set(target_names()), name
        assert set(environment["extras"]) <= set(extras), name
        assert "pins" not in environment or (noxfile.MATRICES / "environments" / environment["pins"]).is_file()
        if "sdk" in environment:
            assert environment["sdk"] in releases()
            assert name == f"sdk-{environment['sdk']}"
            assert "pins" not in environment, "AWS's packages bring their torch"
        if "image" in environment:
            here, there = releases()[environment["sdk"]], releases()[environment["image"].split("-")[-2][3:]]
            assert (here.neuronx_cc, here.torch_neuronx) == (there.neuronx_cc, there.torch_neuronx), name


def test_packages_of_a_release(noxfile: ModuleType) -> None:
    made = {name: noxfile.sdk_packages(environment) for name, environment in noxfile.ENVIRONMENTS.items()}
    assert made["cpu"] == made["xla"] == []
    assert made["sdk-2.29.1"][-2:] == ["neuronx-cc==2.24.8799.0", "torch-neuronx==2.9.0.2.13.26312"]
    assert made["sdk-2.32.0"][-2:] == ["neuronx-cc==2.27.5334.0", "torch-neuronx==2.9.0.2.15.32035"]
    assert made["sdk-2.33.0"][-2:] == ["neuronx-cc==2.28.7631.0", "torch-neuronx==2.13.3.0.*"]


def test_list_reads_well() -> None:
    said = subprocess.run([sys.executable, "-m", "nox", "--list"], cwd=ROOT, capture_output=True, text=True).stdout
    assert "- sdk-2.29.1 -> torch_neuronx.trace: inf2, trn1, trn2 (neuron)" in said
    assert "* matrix -> Merge the records" in said
