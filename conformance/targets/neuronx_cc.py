"""The compiler's side of a trace: its arguments, when it starts, and what it said when it failed."""

from __future__ import annotations

import os
import re
import shutil
import signal
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from packaging.version import Version

from conformance.cases.case import AUTO_CAST
from conformance.cases.outcome import Stage
from conformance.targets.protocol import CompileError, Crashed

NAME = "neuronx-cc"
LOG = "log-neuron-cc.txt"
MODEL_TYPES = ("transformer", "unet-inference")  # beside generic
WITHOUT_LNC = ("inf2", "trn1")  # a logical NeuronCore is a physical one there
# What torch_neuronx.trace raises: with the exit status of the compiler, or the negative number of a signal.
_FAILED = re.compile(r"neuronx-cc failed with (-?\d+)")
# A code has a family of two to five letters; the F of the driver (`[F137] neuronx-cc was forcibly killed`) has one.
_CODE = re.compile(r"NCC_[A-Z]{2,5}\d{3}|(?<=\[)[A-Z]{1,5}\d{3}(?=\])")
_BLAMED = re.compile(r"\b(?:ERROR|USER)\b")
# What the driver of the compiler says of a pass that died in a process of its own, and exits with 70.
_DIED = {"F134": signal.SIGABRT, "F137": signal.SIGKILL, "F139": signal.SIGSEGV}
_LONGEST = 2000
# Since SDK 2.32 the compiler can be told, and from the next release on its default is another one.
_TELLS_INTEGERS = Version("2.27.5334")


def arguments(
    hardware: str, dtype: str, optlevel: int, lnc: int, compiler: str, model_type: str = "generic"
) -> list[str]:
    """Everything that has a default is said, so that a release with other defaults compiles the same program."""
    flags = ["--target", hardware, "--model-type", model_type, "--optlevel", str(optlevel)]
    flags += ["--auto-cast", AUTO_CAST.get(dtype, "none")]
    if dtype in AUTO_CAST:
        flags += ["--auto-cast-type", "bf16"]
    if hardware not in WITHOUT_LNC:
        flags += ["--logical-nc-config", str(lnc)]
    if Version(compiler.partition("+")[0]) >= _TELLS_INTEGERS:
        flags += ["--native-int64", "disabled", "--implicit-integer-downcast", "all"]
    return flags


@contextmanager
def compiling(folder: Path, enter: Callable[[Stage], None]) -> Iterator[None]:
    """While torch_neuronx traces: enters the stage of the compiler when that starts, and raises what it failed with,
    a CompileError or Crashed, in the place of a RuntimeError that does not say."""
    printed, done = folder / "printed.txt", threading.Event()
    watch = threading.Thread(target=_watch, args=[done, enter], daemon=True)
    watch.start()
    try:
        with _kept(printed), _inside(folder):
            yield
    except RuntimeError as error:
        found = _FAILED.search(str(error))
        if found is None:
            raise
        done.set()
        watch.join()
        enter(Stage.COMPILE)
        raise _failure(int(found[1]), _said(folder, printed)) from None
    finally:
        done.set()
        watch.join()


def _watch(done: threading.Event, enter: Callable[[Stage], None]) -> None:
    """Whether the compiler runs: a compiler that hangs or is killed is then known by its stage."""
    own = psutil.Process()
    while not done.wait(0.2):
        for process in own.children(recursive=True):
            try:
                if NAME in process.name() or any(Path(word).name == NAME for word in process.cmdline()[:2]):
                    enter(Stage.COMPILE)
                    return
            except psutil.Error:  # it is gone already
                continue


@contextmanager
def _inside(folder: Path) -> Iterator[None]:
    """In a folder of its own: the compiler leaves files where it is started."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@contextmanager
def _kept(path: Path) -> Iterator[None]:
    """What this process and those that it starts print meanwhile, into files as a worker's do, is in a file of its
    own, too. It goes where it went: the last words of a process that is aborted are not lost."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    before = {number: os.fstat(number) for number in (1, 2)}
    files = {(found.st_dev, found.st_ino): number for number, found in before.items() if stat.S_ISREG(found.st_mode)}
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        with path.open("wb") as kept:
            for number in files.values():
                with open(f"/proc/self/fd/{number}", "rb") as printed:  # noqa: PTH123 (it may have no name)
                    printed.seek(before[number].st_size)
                    shutil.copyfileobj(printed, kept)


def _said(folder: Path, printed: Path) -> str:
    """The compiler's own log, and what it printed."""
    logs = sorted(folder.rglob(LOG))
    return "\n".join(path.read_text(encoding="utf-8", errors="replace") for path in (*logs, printed)).strip()


def _failure(status: int, said: str) -> CompileError:
    detail, code = said[-_LONGEST:], _code(said)
    if status < 0:
        return Crashed(signal.Signals(-status).name, detail)
    if code in _DIED:
        return Crashed(_DIED[code].name, detail)
    return CompileError(code or f"exit {status}", detail)


def _code(said: str) -> str | None:
    """The code of what is to blame: one with NCC before the others, and of these one on a line of an error first."""
    lines = said.splitlines()
    blamed = [line for line in lines if _BLAMED.search(line)]
    codes = [found[0] for line in (*blamed, *lines) for found in _CODE.finditer(line)]
    return min(codes, key=lambda code: not code.startswith("NCC_"), default=None)
