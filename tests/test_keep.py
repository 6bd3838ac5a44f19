"""Installing the suite into AWS's environment leaves torch and the compiler as they are: with wheels of the same
names, versions and requirements, and nothing in them."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from conformance.cases.releases import releases
from conformance.core.reading import tomllib  # type: ignore[attr-defined]

pytestmark = pytest.mark.first_run

ROOT = Path(__file__).parents[1]
AWS = ("torch", "torch-xla", "torch-neuronx", "neuronx-cc", "libneuronxla")
BUILDER = ("hatchling", "editables")  # what builds the suite, as it is; all else is a stand-in
LATER: dict[str, dict[str, list[str]]] = {  # what pip would take, and what each of them needs
    "torch": {"2.9.0": [], "2.13.0": [], "2.14.0": []},
    "torchvision": {"0.24.0": ["torch==2.9.0"], "0.28.0": ["torch==2.13.0"], "0.29.0": ["torch==2.14.0"]},
    "ultralytics": {"8.4.190": ["torch>=1.8", "torchvision>=0.9"]},
    "libreyolo": {"1.6.0": ["torch", "torchvision"]},
    "opencv-python-headless": {"4.12.0": []},
}


def write_wheel(folder: Path, name: str, version: str, needed: Iterable[str]) -> None:
    """A wheel with nothing in it but what it needs."""
    stem = f"{name.replace('-', '_')}-{version}"
    metadata = [
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}",
        *(f"Requires-Dist: {one}" for one in needed),
    ]
    files = {
        f"{stem}.dist-info/METADATA": "\n".join(metadata) + "\n",
        f"{stem}.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    sums = {path: base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()) for path, text in files.items()}
    record = "".join(
        f"{path},sha256={sums[path].rstrip(b'=').decode()},{len(text)}\n" for path, text in files.items()
    )
    with ZipFile(folder / f"{stem}-py3-none-any.whl", "w") as wheel:
        for path, text in {**files, f"{stem}.dist-info/RECORD": f"{record}{stem}.dist-info/RECORD,,\n"}.items():
            wheel.writestr(path, text)


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All wheels that there are, for pip."""
    folder = tmp_path_factory.mktemp("wheels")
    got = subprocess.run(
        [sys.executable, "-m", "pip", "download", "-q", "--dest", str(folder), *BUILDER],
        capture_output=True,
        text=True,
    )
    if got.returncode:
        pytest.skip(f"hatchling, which builds the suite, cannot be had: {got.stderr.strip().splitlines()[-1:]}")
    real = {canonicalize_name(path.name.split("-")[0]) for path in folder.iterdir()}
    for name, versions in LATER.items():
        for version, needed in versions.items():
            write_wheel(folder, name, version, needed)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    for text in (
        *project["dependencies"],
        *(one for extra in ("yolo", "yolov4", "rcnn", "detections") for one in extras[extra]),
    ):
        one = Requirement(text)
        if canonicalize_name(one.name) not in real | LATER.keys():
            write_wheel(folder, one.name, re.sub(r"^\D*", "", str(one.specifier).split(",")[0]) or "1.0", ())
    for release in releases().values():
        for framework in (*release.torch_neuronx, *(f"{native}.1" for native in release.torch_neuronx_native)):
            line = ".".join(framework.split(".")[:2])
            write_wheel(
                folder, "torch-neuronx", f"{framework}+abc", [f"torch=={line}.*", "torch-xla", "libneuronxla"]
            )
        write_wheel(folder, "neuronx-cc", f"{release.neuronx_cc}+abc", ())
        for version in release.libneuronxla:
            write_wheel(folder, "libneuronxla", version, ())
    for line in ("2.9", "2.13"):
        write_wheel(folder, "torch-xla", f"{line}.0", ())
    return folder


class Environment:
    """A virtual environment, with pip, that has what AWS's has."""

    def __init__(self, folder: Path, wheels: Path) -> None:
        self.folder = folder
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        self.environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON"))},
            "PATH": os.pathsep.join([str(folder / "bin"), os.environ["PATH"]]),
            "VIRTUAL_ENV": str(folder),
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(wheels),
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        }

    def run(self, command: str, cwd: Path) -> str:
        """What a line of a shell prints. It must succeed."""
        done = subprocess.run(["bash", "-ec", command], env=self.environ, cwd=cwd, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def give(self, release: str, torchvision: bool) -> None:
        """Install what AWS's environment of a release has."""
        known = releases()[release]
        native = bool(known.torch_neuronx_native)
        framework = f"{known.torch_neuronx_native[0]}.1" if native else known.torch_neuronx[-1]
        torch, vision = ("2.13.0", "0.28.0") if native else ("2.9.0", "0.24.0")
        wanted = [f"torch=={torch}", f"torch-xla=={torch}", f"torch-neuronx=={framework}+abc"]
        wanted += [f"neuronx-cc=={known.neuronx_cc}+abc", f"libneuronxla=={known.libneuronxla[-1]}"]
        self.run(
            f"pip install -q {' '.join(wanted)}" + (f" torchvision=={vision}" if torchvision else ""), self.folder
        )

    def versions(self) -> dict[str, str]:
        """Of AWS's packages."""
        found = {one["name"]: one["version"] for one in json.loads(self.run("pip list --format json", self.folder))}
        return {name: found[name] for name in AWS}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The suite, to be installed from."""
    ignored = shutil.ignore_patterns(
        ".git", ".venv*", "records", "tables", "__pycache__", ".hypothesis", "tests", ".nox"
    )
    return shutil.copytree(ROOT, tmp_path / "neuron-conformance", ignore=ignored)


def commands_of_the_page() -> list[str]:
    """What docs/hosts.md says is to be typed, once the environment is active and the suite is there."""
    page = (ROOT / "docs" / "hosts.md").read_text()
    block = page.split("## 2. Install into AWS's environment")[1].split("```")[1]
    return [line.split("  #")[0] for line in block.splitlines() if line.startswith(("pip", "python"))]


def commands_of_the_image() -> list[str]:
    """What the Dockerfile runs."""
    text = (ROOT / "containers" / "Dockerfile").read_text().replace("\\\n", " ")
    return [line.removeprefix("RUN ") for line in text.splitlines() if line.startswith("RUN ")]


def test_there_are_commands() -> None:
    assert len(commands_of_the_page()) == 3
    assert len(commands_of_the_image()) == 1


@pytest.mark.slow
@pytest.mark.parametrize("commands", [commands_of_the_page(), commands_of_the_image()], ids=["page", "image"])
def test_install_keeps_what_aws_has(commands: list[str], tmp_path: Path, wheels: Path, checkout: Path) -> None:
    environment = Environment(tmp_path / "venv", wheels)
    environment.give("2.29.1", torchvision=False)
    before = environment.versions()
    for command in commands:
        environment.run(command, checkout)
    assert environment.versions() == before
    assert "torchvision==0.24.0" in environment.run("pip freeze", checkout)


@pytest.mark.slow
def test_every_release_is_kept(tmp_path: Path, wheels: Path, checkout: Path) -> None:
    """What would be installed, as pip says it; and that without the constraints it would be another torch."""
    environment = Environment(tmp_path / "venv", wheels)
    keep, install, _ = commands_of_the_page()
    for release in (name for name in releases() if tuple(map(int, name.split(".")[:2])) >= (2, 28)):
        environment.give(release, torchvision=False)
        environment.run(keep, checkout)
        said = environment.run(f"{install} --dry-run", checkout)
        wanted = re.search(r"Would install (.*)", said)
        assert wanted is not None, said
        assert not re.search(rf"(?<![\w-])({'|'.join(AWS)})-\d", wanted[1]), (release, said)
        assert f"torchvision-{'0.28' if releases()[release].torch_neuronx_native else '0.24'}.0" in wanted[1]
    environment.give("2.29.1", torchvision=False)
    said = environment.run(f"{install.replace('-c keep.txt', '')} --dry-run", checkout)
    assert "torch-2.14.0" in said, "the constraints are what keeps it"


@pytest.mark.slow
def test_torchvision_of_an_image_is_kept(tmp_path: Path, wheels: Path, checkout: Path) -> None:
    environment = Environment(tmp_path / "venv", wheels)
    environment.give("2.29.1", torchvision=True)
    keep, install, _ = commands_of_the_page()
    environment.run(keep, checkout)
    assert not re.search(r"torch(vision)?-\d", environment.run(f"{install} --dry-run", checkout))


@pytest.mark.slow
def test_nox_keeps_it_too(tmp_path: Path, wheels: Path, checkout: Path) -> None:
    environment = Environment(tmp_path / "venv", wheels)
    environment.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environment.environ["PATH"]])
    said = environment.run("nox --install-only -s sdk-2.29.1", checkout)
    inside = checkout / ".nox" / "sdk-2-29-1" / "bin" / "python"
    found = subprocess.run([inside, "-m", "pip", "freeze"], capture_output=True, text=True, check=True).stdout
    assert "torch==2.9.0" in found, said
    assert "torchvision==0.24.0" in found, said
