"""The examples of the pages in `docs` do what the pages say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from conformance.programs.workarounds import WORKAROUNDS

DOCS = Path(__file__).parents[1] / "docs"
EXAMPLES = [
    pytest.param(code, id=f"{page.stem}-{number}")
    for page in sorted(DOCS.glob("*.md"))
    for number, code in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL))
    if not page.stem.startswith("add-a-")  # test_successors makes a package of these
]


def test_there_are_examples() -> None:
    assert EXAMPLES


@pytest.mark.parametrize("code", EXAMPLES)
def test_example_runs(code: str) -> None:
    exec(compile(code, "example", "exec"), {"__name__": "example"})


def test_every_workaround_is_explained() -> None:
    page = (DOCS / "workarounds.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == sorted(WORKAROUNDS)
