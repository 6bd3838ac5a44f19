"""Bad input: one line that says what is wrong and what would be right."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from difflib import get_close_matches

from conformance.core.text import one_line, shortened

# More names than these are no help.
_LISTED = 30


class UserError(Exception):
    """Something the user gave is wrong. The message is one line, which is all that is shown."""

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


class ModelError(Exception):
    """A model cannot be judged, whoever compiles it. The message is one line and says what of the model it is."""

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


def unknown(kind: str, name: str, known: Iterable[str]) -> UserError:
    """The error for a name that is not among the known ones, with the nearest of them."""
    names = [str(k) for k in known]
    near = get_close_matches(name, names, n=3, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    known_ = ", ".join(names) or "none"
    if len(names) > _LISTED:
        known_ = f"{len(names)}, such as {', '.join(near or names[:3])}"
    return UserError(f"unknown {kind} {shortened(name, 80)!r}{hint} (known: {known_})")


def not_there(what: str, name: str, known: Iterable[str]) -> UserError:
    """The error for a name of which there are too many to list, with the nearest."""
    near = get_close_matches(name, list(known), n=1, cutoff=0)
    return UserError(f"{what} {name!r}" + (f"; the nearest is {near[0]!r}" if near else ""))


def check(kind: str, name: str, known: Collection[str]) -> str:
    """The name, if it is among the known ones. Raises UserError."""
    if name not in known:
        raise unknown(kind, name, known)
    return name


def first_line(error: BaseException) -> str:
    """`ValueError: what it says`, in one line that is not long: of what somebody else's code raised."""
    said = str(error).strip().splitlines()
    return shortened(f"{type(error).__name__}: {said[0]}" if said else type(error).__name__)
