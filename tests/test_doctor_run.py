"""`conformance doctor --run`: a host is tried, and a bundle is written."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from zipfile import ZipFile

import pytest
from doubles import neuron_host

from conformance.commands import doctor_run
from conformance.host.cores import Cores
from conformance.running.worker import Worker
from conformance.targets.neuron import Neuron


def doctor(folder: Path, *words: str, **variables: str) -> tuple[int, str, dict[str, bytes]]:
    """Its exit code, what it says, and the files of the bundle."""
    command = [str(Path(sys.executable).with_name("conformance")), "doctor", "--run", *words]
    environment = {**os.environ, "COLUMNS": "200", "CONFORMANCE_CACHE": str(folder / "cache"), **variables}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    bundles = list(folder.glob("conformance-bundle-*.zip"))
    files: dict[str, bytes] = {}
    for path in bundles:
        with ZipFile(path) as bundle:
            files |= {name: bundle.read(name) for name in bundle.namelist()}
    return done.returncode, done.stdout + done.stderr, files


def no_room(folder: Path) -> bool:
    """Whether this machine has so little disk that the first step says so."""
    return shutil.disk_usage(folder).free < doctor_run.ENOUGH


@pytest.mark.parametrize(("free", "right"), [(doctor_run.ENOUGH, True), (doctor_run.ENOUGH - 1, False)])
def test_disk_that_is_too_small_for_compilers_is_said(
    monkeypatch: pytest.MonkeyPatch, free: int, right: bool
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    step = doctor_run._room()
    assert (step.right, step.advice is None) == (right, right)


@pytest.mark.slow
def test_compiler_for_the_cpu_is_tried_and_the_bundle_has_it_all(tmp_path: Path) -> None:
    if find_spec("openvino") is None:
        pytest.skip("needs openvino")
    code, said, files = doctor(tmp_path, "--target", "openvino")
    assert code == int(no_room(tmp_path)), said
    assert json.loads(files["doctor.json"])["machine"]["cpus"]
    steps = json.loads(files["run.json"])
    assert [step["name"] for step in steps] == [
        "room",
        "first run",
        "the same again",
        "twice at once",
        "killed, and at once again",
    ]
    assert all(step["right"] for step in steps[1:])
    assert b"torch==" in files["packages.txt"]


def test_target_that_cannot_be_used_is_one_line(tmp_path: Path) -> None:
    code, said, files = doctor(tmp_path, "--target", "neuron-native")
    assert (code, len(said.splitlines()), files) == (2, 1, {})
    assert "neuron-native needs" in said


def test_host_of_one_core_is_for_one_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_run, "host_cores", lambda: Cores("inf2", (0,), 1))
    with closing(Worker(threads=1, timeout=1)) as worker:
        step = doctor_run._twice(worker, Neuron())
    assert (step.said, step.advice) == ("this host shows one NeuronCore", "run the suite with -n 1")


@pytest.mark.xla
@pytest.mark.first_run
@pytest.mark.parametrize(
    ("variables", "code", "said"),
    [
        ({"NEURON_DOUBLE": "slow-release"}, 0, ["4 NeuronCores visible, LNC 2", "both right", "compile only"]),
        pytest.param(
            {"NEURON_DOUBLE_COMPILER": "CTR101"}, 1, ["error in compile (CTR101)", "kept: "], marks=pytest.mark.slow
        ),
    ],
)
def test_host_is_tried(tmp_path: Path, variables: dict[str, str], code: int, said: list[str]) -> None:
    if find_spec("torch_xla") is None:
        pytest.skip("needs the torch-xla environment")
    found, text, files = doctor(tmp_path, **neuron_host(tmp_path, "trn2"), **variables)
    assert found == (code or int(no_room(tmp_path))), text
    for words in said:
        assert words in text
    kept = [name for name in files if name.startswith("failures/")]
    assert bool(kept) == (code == 1), "what is kept of a failed compile is in the bundle"
