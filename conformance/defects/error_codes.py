"""What the compiler's codes mean, and what to do (`error_codes.toml`)."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from conformance.cases.outcome import Strict
from conformance.core.reading import read_toml

_PAGES = "https://github.com/aws-neuron/aws-neuron-sdk/blob/81ce03ae/compiler/error-codes"
_PATH = Path(__file__).with_name("error_codes.toml")


class ErrorCode(Strict):
    """Codes of one meaning. `link` is where it is said, if not on each code's own page."""

    codes: list[str]
    means: str
    use: str
    link: str | None = None


class _File(Strict):
    code: list[ErrorCode]


@cache
def error_codes() -> dict[str, ErrorCode]:
    """Every code that is known."""
    return {name: entry for entry in read_toml(_PATH, _File).code for name in entry.codes}


def error_code_source(code: str) -> str:
    """Where a known code is explained."""
    return error_codes()[code].link or f"{_PAGES}/{code.removeprefix('NCC_')}.rst"
