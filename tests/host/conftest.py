"""Hosts of the tests' own making: a folder as root, tools that are scripts, packages that are a dict."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from conformance.cases.releases import Release
from conformance.host.facts import Facts
from conformance.host.probe import Host

LISTINGS = Path(__file__).parent / "neuron_ls"


@pytest.fixture
def bare(tmp_path: Path) -> Host:
    """A host with no tool, no device, no package and no variable."""
    return Host(
        root=tmp_path / "root",
        path=str(tmp_path / "bin"),
        environment=tmp_path / "venv",
        environ={},
        version=lambda name: None,
        requirements=lambda name: [],
        folder=lambda name: None,
        fetch=lambda method, url, headers: None,
    )


@pytest.fixture
def with_tool(bare: Host) -> Callable[..., str]:
    """Put a shell script on the path of the bare host, or in another folder. Returns where it is."""

    def put(name: str, script: str, folder: Path | None = None) -> str:
        path = (folder or Path(bare.path or "")) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return str(path)

    return put


@pytest.fixture
def with_file(bare: Host) -> Callable[..., None]:
    """Put a file under the root of the bare host."""

    def put(path: str, text: str = "") -> None:
        file = bare.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    return put


@pytest.fixture
def listing() -> Callable[[str], str]:
    """The script of a neuron-ls that prints the listing of this name, and nothing where it is not asked for JSON."""
    return lambda name: f'[ "$*" = --json-output ] && cat {LISTINGS / name}.json'


@pytest.fixture
def with_packages(bare: Host) -> Callable[..., Host]:
    """The bare host with packages: {name: version}, and {name: requirements}."""

    def make(versions: Mapping[str, str], needs: Mapping[str, list[str]] | None = None) -> Host:
        return replace(bare, version=versions.get, requirements=lambda name: (needs or {}).get(name, []))

    return make


@pytest.fixture
def known() -> dict[str, Release]:
    """Three releases. The last has a compiler and no torch-neuronx, as 2.32 does."""

    def release(compiler: str, *frameworks: str) -> Release:
        return Release(
            date="2026-01-01",
            neuronx_cc=compiler,
            torch=["2.9"],
            torch_neuronx=list(frameworks),
            libneuronxla=["2.2"],
            runtime="2.30",
            driver="2.26",
            tools="2.28",
            python=["3.11"],
        )

    return {
        "2.28.0": release("2.23.6484.0", "2.8.0.2.12.22436", "2.9.0.2.12.22436"),
        "2.31.0": release("2.26.6360.0", "2.9.0.2.15.32035"),
        "2.32.0": release("2.27.5334.0"),
    }


class Part:
    """A target or system as the registry loads it."""

    def __init__(self, missing: str | None = None, emulated: bool = False) -> None:
        self.emulated = emulated
        self._missing = missing

    def missing(self) -> str | None:
        return self._missing


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Make these the targets and systems that are installed. An exception stands for one that breaks."""

    def load(parts: Mapping[str, Any], name: str) -> Any:
        if isinstance(parts[name], Exception):
            raise parts[name]
        return parts[name]

    def register(targets: Mapping[str, Any], systems: Mapping[str, Any]) -> None:
        for kind, parts in (("target", targets), ("system", systems)):
            monkeypatch.setattr(f"conformance.{kind}s.loading.{kind}_names", lambda parts=parts: list(parts))
            monkeypatch.setattr(
                f"conformance.{kind}s.loading.load_{kind}", lambda name, parts=parts: load(parts, name)
            )

    return register


@pytest.fixture
def ready() -> Part:
    """One that can be used."""
    return Part()


@pytest.fixture
def lacking() -> Part:
    """One that cannot."""
    return Part("xla needs torch_xla: pip install 'neuron-conformance[xla]'")


@pytest.fixture
def report() -> Callable[..., tuple[int, str]]:
    """Print a report as into a pipe, or to a terminal. Returns the exit code and the text."""

    def make(facts: Facts, terminal: bool = False, width: int = 100) -> tuple[int, str]:
        from conformance.commands.doctor import print_report

        stream = io.StringIO()
        code = print_report(facts, Console(file=stream, width=width, force_terminal=terminal, color_system=None))
        return code, stream.getvalue()

    return make
