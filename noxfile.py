"""The suite in each environment of matrices/environments.toml, a virtual environment for each.

nox --list
nox -s cpu xla matrix                                           two environments here, one matrix
nox -s sdk-2.29.1 -- --profile full -n 2                        on a Neuron host
nox -s sdk-2.29.1 -- --compile-only --hardware inf2,trn2        on any x86 host
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nox
import tomllib

MATRICES = Path(__file__).parent / "matrices"
INDEX = "https://pip.repos.neuron.amazonaws.com"
# ultralytics asks for the OpenCV that needs the libraries of a screen; the headless one takes its place
HEADLESS = ("--no-deps", "--force-reinstall", "opencv-python-headless")

nox.options.sessions = ["cpu", "matrix"]
nox.options.reuse_existing_virtualenvs = True


def read(name: str) -> dict[str, Any]:
    """A file of `matrices/`."""
    with (MATRICES / name).open("rb") as file:
        return tomllib.load(file)


RELEASES = read("releases.toml")["release"]
ENVIRONMENTS = read("environments.toml")["environment"]


def sdk_packages(environment: dict[str, Any]) -> list[str]:
    """The compiler of an environment's SDK release, and the torch-neuronx that it names, or the release's newest."""
    if "sdk" not in environment:
        return []
    release = RELEASES[environment["sdk"]]
    framework = environment.get("framework") or release["torch_neuronx"][-1]
    return ["--extra-index-url", INDEX, f"neuronx-cc=={release['neuronx_cc']}", f"torch-neuronx=={framework}"]


def suite(environment: dict[str, Any]) -> Callable[[nox.Session], None]:
    """A session that installs an environment and runs the suite in it."""

    def run(session: nox.Session) -> None:
        pins = ["-c", str(MATRICES / "environments" / environment["pins"])] if "pins" in environment else []
        first = sdk_packages(environment) or [*pins, "torch"]  # what comes later must not bring another torch along
        session.install(*first)
        session.install(*pins, "-e", f".[{','.join(environment['extras'])}]")
        session.install(*HEADLESS)
        targets, words = ",".join(environment["targets"]), session.posargs or ["--profile", "quick", "-n", "2"]
        # pytest's exit 1: some cells are wrong, and their records are what was wanted
        session.run("pytest", "conformance", "--target", targets, "-q", "--tb=short", *words, success_codes=[0, 1])

    run.__doc__ = f"{environment['description']} ({', '.join(environment['targets'])})"
    return run


for name, environment in ENVIRONMENTS.items():
    nox.session(name=name)(suite(environment))


@nox.session
def matrix(session: nox.Session) -> None:
    """Merge the records of all environments, and of other hosts, into matrices/compatibility.{md,json,html}."""
    session.install("-c", str(MATRICES / "environments" / "cpu.txt"), "torch")
    session.install("-e", ".")
    session.run("conformance", "matrix", *session.posargs)
