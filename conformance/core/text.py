"""Text from outside, made fit to be shown: no control character of it reaches a terminal or a page."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

# Colours, cursor movements, titles and links: ESC or the C1 byte of the same meaning, and what belongs to it.
_SEQUENCES = re.compile(r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|(?:\x1b\]|\x9d)[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)")


def printable(text: str) -> str:
    """The text without terminal sequences; other characters that are not seen, bidirectional overrides among them,
    are spelt: `\\x07`, `\\u202e`. Line breaks and tabs stay."""
    if text.isprintable():
        return text
    kept = _SEQUENCES.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
    return "".join(c if c in "\n\t" or c.isprintable() else _spelt(c) for c in kept)


def one_line(text: str) -> str:
    """The same with one space for each run of white space."""
    return " ".join(printable(text).split())


def shortened(text: str, longest: int = 300) -> str:
    """One line of at most `longest` characters: of messages that others wrote."""
    line = one_line(text)
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def json_by_line(content: Mapping[str, Any], rows: str, separators: tuple[str, str] | None = None) -> str:
    """JSON with a line for each of its `rows`, which come last, so that two of a kind can be compared."""
    top = json.dumps({name: value for name, value in content.items() if name != rows}, indent=1)
    lines = ",\n".join(f"  {json.dumps(row, separators=separators)}" for row in content[rows])
    return top.removesuffix("\n}") + f',\n "{rows}": [\n{lines}\n ]\n}}\n'


def cleaned(value: Any) -> Any:
    """Plain data, as JSON and TOML hold it, in which every string and key is printable."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, dict):
        return {cleaned(key): cleaned(each) for key, each in value.items()}
    return [cleaned(each) for each in value] if isinstance(value, list) else value


def _spelt(character: str) -> str:
    return " " if character.isspace() and character > "\x9f" else character.encode("unicode_escape").decode()
