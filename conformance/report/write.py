"""The matrix as files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from conformance.report.html import as_html
from conformance.report.json_file import as_json
from conformance.report.markdown import as_markdown
from conformance.report.matrix import Matrix


def write_matrix(matrix: Matrix, folder: Path) -> list[Path]:
    """Write `compatibility.md`, `.json` and `.html` into a folder, which is made. Returns their paths."""
    texts = {"md": as_markdown(matrix), "json": as_json(matrix), "html": as_html(matrix)}
    return write_texts(folder, "compatibility", texts)


def write_texts(folder: Path, name: str, texts: Mapping[str, str]) -> list[Path]:
    """Write a text for each suffix into a folder, which is made. Returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.{ending}" for ending in texts]
    for path, text in zip(paths, texts.values(), strict=True):
        path.write_text(text, encoding="utf-8")
    return paths
