"""The pages about adding things: what they show makes a package, which is installed, and the suite runs it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from suites import SUITE

from conformance.cases.outcome import Record, Status
from conformance.core.reading import tomllib  # type: ignore[attr-defined]
from conformance.results.records import read_records

DOCS = Path(__file__).parents[1] / "docs"
PAGES = ("add-a-model", "add-a-target", "add-a-defect", "add-a-workaround")
MINE = "acme-net or acme-relu"
COMMAND = str(Path(sys.executable).with_name("conformance"))
BLOCK = re.compile(r"```\w+\n# ([\w./]+)\n(.*?)```", re.DOTALL)


@pytest.fixture
def acme(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """The package of the pages, as pip leaves it behind, and no other place to import from."""
    pages = [(DOCS / f"{page}.md").read_text(encoding="utf-8") for page in PAGES]
    points: dict[str, dict[str, str]] = {}
    for name, content in (found for page in pages for found in BLOCK.findall(page)):
        if name == "pyproject.toml":
            points |= tomllib.loads(content)["project"]["entry-points"]
            continue
        path = pytester.path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content, encoding="utf-8")
    assert len(points) == len(PAGES), "every page registers something"
    info = pytester.mkdir("acme-1.0.dist-info")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    sections = (f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in names.items()) for group, names in points.items())
    (info / "entry_points.txt").write_text("\n".join(sections))
    monkeypatch.setenv("PYTHONPATH", str(pytester.path))
    return pytester


def run(acme: pytest.Pytester, *options: str) -> dict[str, Record]:
    acme.runpytest_subprocess(SUITE, "--records", "records", "-p", "no:cacheprovider", "-q", *options)
    return {record.id: record for record in read_records(acme.path / "records")}


def test_suite_runs_what_the_pages_make(acme: pytest.Pytester) -> None:
    found = run(acme, "--profile", "acme.toml", "--target", "acme", "--workarounds", "none,acme-clamp", "-k", MINE)
    wrong, right = (found[f"acme-net-small-detect/b2/16x24/fp32@acme{with_}"] for with_ in ("", "+acme-clamp"))
    assert (wrong.status, wrong.defects, wrong.first_bad_layer) == (Status.WRONG, ["acme-relu"], "act")
    assert (right.status, right.defects) == (Status.PASS, [])
    assert {record.status for record in found.values() if "+acme-clamp" in record.id} == {Status.PASS}
    assert found["acme-relu:relu/b2/fp32@acme"].defects == ["acme-relu"]


def test_minimal_case_of_another_package_is_a_regression_test(acme: pytest.Pytester) -> None:
    done = acme.runpytest_subprocess(
        SUITE, "--profile", "acme.toml", "--target", "acme", "-k", "minimal and acme-relu", "-p", "no:cacheprovider"
    )
    done.assert_outcomes(passed=2)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("defects", "--json"), "relu gives the absolute value"),
        (("systems", "--system", "acme-net"), "acme-net"),
        (("doctor",), "acme"),
    ],
)
def test_commands_know_it(acme: pytest.Pytester, words: tuple[str, ...], said: str) -> None:
    done = acme.run(COMMAND, *words)
    assert said in done.stdout.str() + done.stderr.str()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("acme = acme.target:Device", "defect 'acme' is type, and no Defect"),
        ("acme = acme.nothing:RELU", "cannot load defect 'acme': ModuleNotFoundError"),
        ("one = acme.defect:RELU\ntwo = acme.again:RELU", "two defects are called 'acme-relu'"),
    ],
)
def test_what_is_none_is_one_line(acme: pytest.Pytester, line: str, said: str) -> None:
    (acme.path / "acme" / "again.py").write_text((acme.path / "acme" / "defect.py").read_text())
    (acme.path / "acme-1.0.dist-info" / "entry_points.txt").write_text(f"[conformance.defects]\n{line}\n")
    done = subprocess.run([COMMAND, "defects"], capture_output=True, text=True)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
