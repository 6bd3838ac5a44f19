"""What the nightly workflow does with the records, with a stand-in for gh."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
pytest.importorskip("nox")
GH = """#!{python}
import json, pathlib, sys
calls = pathlib.Path({calls!r})
with calls.open("a") as file:
    file.write(json.dumps(sys.argv[1:]) + "\\n")
if sys.argv[1:3] == ["issue", "list"]:
    titles = {{8: "a/b11@neuron: crash", 7: "a/b1@neuron: crash"}}
    print(json.dumps([{{"number": number, "title": title}} for number, title in titles.items()]))
if sys.argv[1:3] == ["run", "list"]:
    print({runs!r})
if sys.argv[1:3] == ["run", "download"]:
    folder = pathlib.Path(sys.argv[-1])
    folder.mkdir(parents=True)
    (folder / "a.jsonl").touch()
"""


@dataclass(frozen=True)
class Nox:
    """Runs sessions in a folder with the noxfile and the files it reads. Gives what nox says, and the calls of gh."""

    folder: Path

    def __call__(self, *sessions: str, runs: str = "[]") -> tuple[subprocess.CompletedProcess[str], list[list[str]]]:
        gh, calls = self.folder / "bin" / "gh", self.folder / "calls"
        gh.parent.mkdir(exist_ok=True)
        gh.write_text(GH.format(python=sys.executable, calls=str(calls), runs=runs))
        gh.chmod(gh.stat().st_mode | stat.S_IXUSR)
        done = subprocess.run(
            [sys.executable, "-m", "nox", "-s", *sessions],
            cwd=self.folder,
            env={**os.environ, "PATH": f"{gh.parent}{os.pathsep}{os.environ['PATH']}"},
            capture_output=True,
            text=True,
        )
        said = calls.read_text().splitlines() if calls.exists() else []
        return done, [json.loads(line) for line in said]


@pytest.fixture
def nox(tmp_path: Path) -> Nox:
    for name in ("noxfile.py", "matrices/environments.toml", "matrices/releases.toml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return Nox(tmp_path)


def test_new_failure_is_an_issue_and_one_that_has_an_issue_a_comment(nox: Nox) -> None:
    issues = nox.folder / "matrices" / "issues"
    issues.mkdir()
    (issues / "000.md").write_text("a/b1@neuron: wrong in compare\n\nBefore: crash.\n")
    (issues / "001.md").write_text("a/b2@neuron: wrong in compare\n\nBefore: pass.\n")
    done, calls = nox("issues")
    assert done.returncode == 0, done.stderr
    asked = [call for call in calls if call[:2] == ["issue", "list"]]
    told = [call for call in calls if call[:2] != ["issue", "list"]]
    assert ['"a/b1@neuron" in:title' in call for call in asked] == [True, False]
    assert told == [
        ["issue", "comment", "7", "--body", "Before: crash.\n"],
        ["issue", "create", "--title", "a/b2@neuron: wrong in compare", "--body", "Before: pass.\n"],
    ]


def test_last_night_is_the_last_run_that_succeeded_if_there_was_any(nox: Nox) -> None:
    done, calls = nox("last-night")
    assert done.returncode == 0
    assert len(calls) == 1
    assert "no nightly run before" in done.stderr
    done, calls = nox("last-night", runs='[{"databaseId": 42}]')
    assert calls[-1][:5] == ["run", "download", "42", "--name", "nightly"]
    assert (nox.folder / "matrices/last-night/a.jsonl").is_file()


def test_first_night_has_nothing_to_differ_from(nox: Nox) -> None:
    done, _ = nox("diff")
    assert done.returncode == 0
    assert "no records in matrices/last-night" in done.stderr


def test_page_has_the_matrix_at_its_root(nox: Nox) -> None:
    (nox.folder / "matrices" / "tables").mkdir()
    for name in ("tables/compatibility.html", "tables/compatibility.json", "difference.md"):
        (nox.folder / "matrices" / name).write_text(Path(name).name)
    done, _ = nox("page")
    assert done.returncode == 0, done.stderr
    found = {path.name: path.read_text() for path in (nox.folder / "matrices/page").iterdir()}
    assert found == {
        "index.html": "compatibility.html",
        "compatibility.json": "compatibility.json",
        "difference.md": "difference.md",
    }
