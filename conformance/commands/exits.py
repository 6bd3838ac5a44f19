"""How a command ends: what can be foreseen is one line on stderr and exit code 2, a bug of ours one line and 3.

With `CONFORMANCE_DEBUG=1` both are tracebacks.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

from conformance.core.errors import UserError, first_line
from conformance.core.text import one_line

FORESEEN = 2
INTERNAL = 3
DEBUG = "CONFORMANCE_DEBUG"
# What the command line itself raises; typer brings its own click along, or uses the one that is installed.
_WrongUsage: type[Exception] = typer.BadParameter.__mro__[2]


class ExitingGroup(TyperGroup):
    """Commands, each of which ends in this way."""

    def main(self, args: Any = None, *arguments: Any, standalone_mode: bool = True, **more: Any) -> Any:
        """Run the command that the arguments name, and exit."""
        run = partial(super().main, args, *arguments, **{**more, "standalone_mode": False})
        if not standalone_mode:
            return run()
        sys.exit(_exit_code(run))


def _exit_code(run: Callable[[], Any]) -> int:
    try:
        code = run()
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except BrokenPipeError:  # whoever reads has seen enough
        _discard_output()
        return 1
    except typer.Abort:
        return 1
    except Exception as error:  # noqa: BLE001 (every command ends here)
        code, message = described(error)
        if isinstance(error, OSError):
            _discard_output()
        if message:
            print(f"error: {message}", file=sys.stderr)
        return code


def described(error: Exception) -> tuple[int, str]:
    """The exit code, and the line that is said. Raises the error itself where tracebacks are asked for."""
    if os.environ.get(DEBUG):
        raise error
    if isinstance(error, UserError):
        return FORESEEN, str(error)
    if isinstance(error, _WrongUsage):
        return FORESEEN, one_line(_usage(error))
    if isinstance(error, OSError):
        name = f"{error.filename}: " if error.filename else ""
        return FORESEEN, one_line(f"{name}{error.strerror or error}")
    if isinstance(error, MemoryError):
        return FORESEEN, "there is not enough memory for this"
    frames = traceback.extract_tb(error.__traceback__)[-1:]
    where = "".join(f" at {Path(frame.filename).name}:{frame.lineno}" for frame in frames)
    return INTERNAL, f"internal error: {first_line(error)}{where}; {_kept(error)}"


def _usage(error: Any) -> str:
    """What is wrong with the words of the command line, and where help is; nothing where help has been shown."""
    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()
        return ""
    context = getattr(error, "ctx", None)
    help_ = f" (see {context.command_path} --help)" if context else ""
    return f"{error.format_message().rstrip('.')}{help_}"


def _kept(error: Exception) -> str:
    """Where the traceback is."""
    try:
        descriptor, name = tempfile.mkstemp(prefix="conformance-error-", suffix=".txt")
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="replace") as file:
            file.write("".join(traceback.format_exception(error)))
    except OSError:
        return f"{DEBUG}=1 shows the traceback"
    return f"the traceback is in {name}"


def _discard_output() -> None:
    """Nothing is written any more, not even what Python still holds when it exits."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
