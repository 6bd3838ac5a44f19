"""What a person writes behind an option: lists, numbers, sets. The plugin and the commands read them here.

All raise UserError, in words that name the option.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timezone
from pathlib import Path

from conformance.core.errors import UserError
from conformance.core.groups import Group
from conformance.core.text import shortened

# Longer than anything takes that is waited for; timers of the operating system end before a million years.
LONGEST_WAIT = 365 * 24 * 3600
# Of a program: after one call, one that gives its first answer for ever is right.
FEWEST_CALLS, CALLS, MOST_CALLS = 2, 4, 100_000


def names(option: str, text: str | None) -> list[str] | None:
    """`n,s`: two names. None where the option was not given."""
    if text is None:
        return None
    found = [name.strip() for name in text.split(",")]
    if not all(found):
        raise UserError(f"{option} {shortened(text)!r} has a name that is empty; write it as {option} one,another")
    _require_once(option, found)
    return found


def numbers(option: str, text: str | None) -> list[int] | None:
    """`1,2,4`: three whole numbers."""
    found = names(option, text)
    if found is None:
        return None
    if not all(re.fullmatch(r"-?[0-9]{1,9}", number) for number in found):
        raise UserError(f"{option} takes whole numbers, such as 1,2,4, not {shortened(text or '')!r}")
    return [int(number) for number in found]


def one_set(option: str, text: str | None) -> tuple[str, ...]:
    """`slice+chunk`: a set of two; `none`, or an option that was not given, is the empty one."""
    if text is None or text.strip() == "none":
        return ()
    found = [name.strip() for name in text.split("+")]
    if not all(found):
        raise UserError(f"{option} {shortened(text)!r} has a name that is empty; write it as {option} one+another")
    if "none" in found:
        raise UserError(f"{option} {shortened(text)!r}: none stands alone, or is left out")
    _require_once(option, found)
    return tuple(found)


def sets(option: str, text: str | None) -> list[tuple[str, ...]] | None:
    """`none,slice+chunk`: the empty set, and one of two."""
    found = names(option, text)
    if found is None:
        return None
    made = [one_set(option, one) for one in found]
    _require_once(option, ["+".join(sorted(one)) or "none" for one in made])
    return made


def groups(option: str, text: str | None) -> tuple[Group, ...]:
    """`boxes=:4,scores=4:,protos`: channels of the first output, and the second output. A name takes the next output
    that has none; parts that follow each other are of one."""
    found: list[Group] = []
    taken, in_parts = 0, False
    for name in names(option, text) or ():
        match = re.fullmatch(r"([^=]+)(?:=(-?[0-9]{0,9}):(-?[0-9]{0,9}))?", name)
        if not match or ((is_part := match[2] is not None) and not (match[2].strip("-") or match[3].strip("-"))):
            raise UserError(f"{option} {shortened(name)!r} is no name such as boxes, or boxes=0:4 of its channels")
        if in_parts and not is_part:
            taken += 1
        start, stop = (int(match[2] or 0), int(match[3]) if match[3] else None) if is_part else (0, None)
        found.append(Group(match[1], taken, start=start, stop=stop))
        taken, in_parts = (taken, True) if is_part else (taken + 1, False)
    _require_once(option, [group.name for group in found])
    return tuple(found)


def seconds(option: str, text: str | float) -> float:
    """A time to wait."""
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not 0 < found <= LONGEST_WAIT:
        raise UserError(f"{option} {shortened(str(text))} is impossible: seconds, more than 0 and at most a year")
    return found


def calls(option: str, text: str | int) -> int:
    """How often a program is called."""
    number = int(text) if re.fullmatch(r"[0-9]{1,9}", str(text)) else 0
    if not FEWEST_CALLS <= number <= MOST_CALLS:
        raise UserError(
            f"{option} {shortened(str(text))} is impossible: a whole number, {FEWEST_CALLS} to {MOST_CALLS:,}"
        )
    return number


def whole(option: str, text: str | int | None) -> int | None:
    """A number of things, 1 or more. None where the option was not given."""
    if text is None:
        return None
    if not re.fullmatch(r"0*[1-9][0-9]{0,8}", str(text)):
        raise UserError(f"{option} {shortened(str(text))} is impossible: a whole number, 1 or more")
    return int(text)


def day(option: str, text: str | None) -> date | None:
    """The date until which something counts, 2027-03-01, which is not over."""
    if text is None:
        return None
    try:
        found = date.fromisoformat(text)
    except ValueError:
        raise UserError(f"{option} {shortened(text)!r} is no date such as 2027-03-01") from None
    if found <= datetime.now(timezone.utc).date():
        raise UserError(f"{option} {found} is over; give a date that is still to come")
    return found


def given(option: str, text: str | None) -> str | None:
    """A text that is not empty."""
    if text is not None and not text.strip():
        raise UserError(f"{option} is empty; give it a value, or leave it out")
    return text


def folder(option: str, path: Path, written: bool) -> None:
    """Refuse a path that is no folder; one that is `written` to may have to be made, where that can be done."""
    if path.exists() and not path.is_dir():
        raise UserError(f"{option} {path} is no folder")
    there = next((above for above in (path, *path.absolute().parents) if above.exists()), Path("/"))
    if not written and there != path:
        raise UserError(f"{option} {path}: there is no such folder")
    if written and not (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):
        raise UserError(f"{option} {path} cannot be written to")


def at_most_one(**options: object) -> None:
    """Refuse options that exclude one another, by the names they have in the program."""
    if len(chosen := [_spelt(name) for name, value in options.items() if value]) > 1:
        raise UserError(f"{' and '.join(chosen)} exclude one another: give one of them")


@dataclass(frozen=True)
class Justification:
    """Why a failure is accepted: where it is reported, why it does not matter, or both."""

    link: str | None = None
    reason: str | None = None


def why(link: str | None, reason: str | None, needed: bool) -> Justification:
    """What --link and --reason say. Raises UserError where one of them is `needed` and there is none."""
    found = Justification(given("--link", link), given("--reason", reason))
    if needed and not (found.link or found.reason):
        raise UserError("say why it is accepted: --link URL or --reason TEXT")
    return found


def only_with(needed: str, present: object, **options: object) -> None:
    """Refuse options that mean nothing without another one."""
    for name, value in options.items():
        if value and not present:
            raise UserError(f"{_spelt(name)} is only for {needed}: leave it out")


def _spelt(name: str) -> str:
    return f"--{name.removeprefix('as_').replace('_', '-')}"


def _require_once(option: str, found: Sequence[str]) -> None:
    if twice := next((name for name in found if found.count(name) > 1), None):
        raise UserError(f"{option} names {shortened(twice)!r} twice")
