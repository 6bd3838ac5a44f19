"""How a host is looked at: files, tools and installed packages. Tests look at hosts of their own making."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from pathlib import Path
from threading import Timer
from urllib.request import Request, urlopen


class ToolError(Exception):
    """A tool of the host did not do its work. The message is one line."""


def installed_version(package: str) -> str | None:
    """The version of an installed distribution; None where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def requirements(package: str) -> list[str]:
    """What an installed distribution says it needs."""
    try:
        return requires(package) or []
    except PackageNotFoundError:
        return []


def fetched(method: str, url: str, headers: Mapping[str, str]) -> str | None:
    """What an HTTP service of the host answers within a second; None where there is none."""
    try:
        with urlopen(Request(url, method=method, headers=dict(headers)), timeout=1) as answer:
            text: str = answer.read().decode()
    except (OSError, ValueError):
        return None
    return text.strip() or None


def package_folder(module: str) -> Path | None:
    """Where a top-level package lies. It is not imported."""
    try:
        spec = find_spec(module)
    except (ImportError, ValueError):
        return None
    return Path(spec.origin).parent if spec and spec.origin else None


def program_path() -> str:
    """PATH with the programs of Python's own environment, which need not be active: compilers are programs."""
    path, own = os.environ.get("PATH", ""), str(Path(sys.prefix, "bin"))
    return path if own in path.split(os.pathsep) else os.pathsep.join(filter(None, (own, path)))


@dataclass(frozen=True)
class Host:
    """The host that is examined. `patience` is how many seconds a tool may take. `root` is where its /dev, /sys and
    /opt are; in a container that sees them elsewhere, `$CONFORMANCE_HOST` says where."""

    root: Path = field(default_factory=lambda: Path(os.environ.get("CONFORMANCE_HOST") or "/"))
    path: str | None = None  # where tools are searched; None is PATH
    patience: float = 10.0
    environment: Path = Path(sys.prefix)
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    version: Callable[[str], str | None] = installed_version
    requirements: Callable[[str], list[str]] = requirements
    folder: Callable[[str], Path | None] = package_folder
    fetch: Callable[[str, str, Mapping[str, str]], str | None] = fetched

    def read(self, path: str | Path) -> str | None:
        """The text of a file of the host; None where it cannot be read or is empty."""
        try:
            return (self.root / path).read_text(encoding="utf-8", errors="replace").strip() or None
        except OSError:
            return None

    def tool(self, name: str) -> str | None:
        """Where a tool is. AWS's lie in a folder that only login shells have on PATH."""
        aws = self.root / "opt/aws/neuron/bin"
        return shutil.which(name, path=self.path) or shutil.which(name, path=str(aws))

    def first_line(self, *command: str) -> str:
        """The first line that a tool prints which does not end by itself. Raises ToolError where none comes."""
        name, process = Path(command[0]).name, _started(command, subprocess.DEVNULL)
        limit = Timer(self.patience, _kill, [process])
        limit.start()
        line = process.stdout.readline() if process.stdout else ""
        limit.cancel()
        _end(process)
        if not line:
            raise ToolError(f"{name} printed nothing within {self.patience:g} s")
        return line

    def output(self, *command: str) -> str:
        """What a tool prints. Raises ToolError where it fails or takes too long."""
        name, process = Path(command[0]).name, _started(command, subprocess.PIPE)
        try:
            printed, complaint = process.communicate(timeout=self.patience)
        except subprocess.TimeoutExpired:
            _end(process)
            raise ToolError(f"{name} did not answer within {self.patience:g} s") from None
        if process.returncode:
            raise ToolError(f"{name} {_ending(process.returncode)}{_quoted(complaint or printed)}")
        return printed


def _started(command: Sequence[str], errors: int) -> subprocess.Popen[str]:
    """A tool in a process group of its own, so that it can be ended with what it starts. Raises ToolError."""
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
    except OSError as error:
        raise ToolError(f"{Path(command[0]).name} cannot be started: {error.strerror}") from None


def _kill(process: subprocess.Popen[str]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _end(process: subprocess.Popen[str]) -> None:
    """Kill a tool and what it started. One that hangs in the driver cannot be killed, and is not waited for."""
    _kill(process)
    with suppress(subprocess.TimeoutExpired):
        process.communicate(timeout=1)


def _ending(returncode: int) -> str:
    return f"exited with {returncode}" if returncode > 0 else f"was ended by signal {-returncode}"


def _quoted(text: str) -> str:
    """The last line of what a tool said."""
    lines = [line for line in (" ".join(line.split()) for line in text.splitlines()) if line]
    return f": {lines[-1][:120]}" if lines else ""
