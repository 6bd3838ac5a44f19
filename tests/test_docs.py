"""The examples of the pages in `docs` do what the pages say."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from cells import cell

from conformance.cases.outcome import Record, Stage, Status
from conformance.programs.workarounds import WORKAROUNDS

DOCS = Path(__file__).parents[1] / "docs"
EXAMPLES = [
    pytest.param(code, id=f"{page.stem}-{number}")
    for page in sorted(DOCS.glob("*.md"))
    for number, code in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL))
    # test_successors makes a package of these, and the page of own models is files that belong together
    if not page.stem.startswith("add-a-") and page.stem != "own-model"
]


def test_there_are_examples() -> None:
    assert EXAMPLES


@pytest.mark.parametrize("code", EXAMPLES)
def test_example_runs(code: str) -> None:
    exec(compile(code, "example", "exec"), {"__name__": "example"})


def test_every_workaround_is_explained() -> None:
    page = (DOCS / "workarounds.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == sorted(WORKAROUNDS)


def test_page_of_the_records_is_as_generated() -> None:
    done = subprocess.run([sys.executable, DOCS / "records_page.py"], capture_output=True, text=True, check=True)
    assert done.stdout == (DOCS / "records.md").read_text(encoding="utf-8")


def test_page_has_every_field_of_a_record() -> None:
    now, case = datetime.now(timezone.utc), cell("toy", "1", "detect", 1, 16, 16, "float32")
    what: dict[str, Any] = {"stage": Stage.COMPARE, "status": Status.PASS, "started": now, "finished": now}
    record = Record(id=case.id, case=case, emulated=False, command="", **what)
    page = (DOCS / "records.md").read_text(encoding="utf-8")
    fields = set(re.findall(r"^\| `(\w+)` \|", page.split("## ImageFigures")[0], re.MULTILINE))
    assert fields == record.model_dump(by_alias=True).keys()
