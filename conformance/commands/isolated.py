"""What a file of anyone's is asked: this process, and the one that reads it. Only plain data comes back."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Timer
from typing import Any

from conformance.core.errors import UserError
from conformance.core.text import cleaned

_SECONDS = 900
_LONGEST = 64 * 2**20  # of an answer, in bytes
# What the process is told of this one's environment: no tokens, no keys.
_VARIABLES = ("PATH", "HOME", "LANG", "LC_", "LD_LIBRARY_PATH", "TMPDIR", "OMP_", "MKL_", "OPENBLAS_", "PJRT_DEVICE")


def ask(path: Path, packages: Mapping[str, str], hardware: str, dtype: str, workarounds: tuple[str, ...]) -> Any:
    """What is known to go wrong in the graph of a file of torch.export, as a list of objects. Raises UserError for
    one that is refused, or cannot be read."""
    if not path.is_file():
        raise UserError(f"{path} cannot be read: there is no such file")
    request = {
        "path": str(path.resolve()),
        "packages": dict(packages),
        "hardware": hardware,
        "dtype": dtype,
        "workarounds": list(workarounds),
    }
    with TemporaryDirectory(prefix="conformance-") as scratch:
        said = answer(Path(__file__).with_name("lint_child.py"), path, {**request, "scratch": scratch})
    return said["findings"]


def answer(child: Path, path: Path, request: Mapping[str, Any]) -> dict[str, Any]:
    """What a process of its own, the program `child`, answers about a file. Raises UserError where it refuses the
    file, or dies of it."""
    said = _asked(child, path, request)
    if "refused" in said:
        raise UserError(f"{path} is refused: {said['refused']}")
    if "bug" in said:
        raise RuntimeError(f"in the process that reads {path}: {said['bug']}")
    return said


def answering(name: str, work: Callable[[dict[str, Any]], Any]) -> None:
    """In the process that is asked: do the work for the request on stdin, and answer in JSON on stdout with what came
    of it, by name, `{"refused": why}` or `{"bug": traceback}`."""
    request = json.load(sys.stdin)
    stdout = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print
    try:
        said = {name: work(request)}
    except UserError as error:
        said = {"refused": str(error)}
    except MemoryError:
        said = {"refused": "there is not enough memory for it"}
    except Exception:  # noqa: BLE001 (a bug of ours)
        said = {"bug": traceback.format_exc()}
    json.dump(said, stdout)
    stdout.flush()


def _asked(child: Path, path: Path, request: Mapping[str, Any]) -> dict[str, Any]:
    folders = [folder for folder in sys.path if Path(folder).is_absolute()]  # the current folder may be anyone's
    environment = {name: value for name, value in os.environ.items() if name.startswith(_VARIABLES)}
    process = subprocess.Popen(
        [sys.executable, str(child), json.dumps(folders)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**environment, "TORCH_FORCE_WEIGHTS_ONLY_LOAD": "1"},
        start_new_session=True,
    )
    timer = Timer(_SECONDS, _end, [process])
    timer.start()
    try:
        answer = _spoken(process, json.dumps(request).encode())
    finally:
        timer.cancel()
        _end(process)
    try:
        return dict(cleaned(json.loads(answer)))
    except (ValueError, TypeError, RecursionError):
        code = process.returncode
        ending = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        raise UserError(f"{path} cannot be read: the process that read it ended with {ending}") from None


def _spoken(process: subprocess.Popen[bytes], question: bytes) -> bytes:
    """What it answers; nothing where it does not live to."""
    assert process.stdin is not None
    assert process.stdout is not None
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(question)
        process.stdin.close()
    answer = process.stdout.read(_LONGEST)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=5)
    return answer


def _end(process: subprocess.Popen[bytes]) -> None:
    """End it with whatever it has started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
