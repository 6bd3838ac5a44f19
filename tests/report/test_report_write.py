from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from conformance.cases.outcome import Record
from conformance.report.matrix import build_matrix
from conformance.report.write import write_matrix


def test_three_files_are_written_into_a_new_folder(make: Callable[..., Record], tmp_path: Path) -> None:
    paths = write_matrix(build_matrix([make()]), tmp_path / "new" / "folder")
    assert [path.name for path in paths] == ["compatibility.md", "compatibility.json", "compatibility.html"]
    assert all("yolo26n-detect" in path.read_text(encoding="utf-8") for path in paths)


def test_the_report_needs_no_torch() -> None:
    program = (
        "import sys; import conformance.report.write, conformance.report.terminal; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
