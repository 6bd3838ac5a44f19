"""`conformance calibrate-limits`: records of healthy compilers to the limits of the verdict."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from conformance.cases import options
from conformance.commands.arguments import RECORDS
from conformance.compare import limits
from conformance.compare.calibration import as_toml, calibrated, measured
from conformance.compare.evidence import EVIDENCE, as_json
from conformance.core.reading import data_path
from conformance.host.machine import machine_name
from conformance.report.limits import as_markdown
from conformance.results.records import read_records


def main(
    records: Annotated[Path, typer.Option(help="Folder with records of compilers that are right.")] = RECORDS,
    trust: Annotated[
        list[str] | None, typer.Option(help="Count a case, or those of a pattern with *, though it is wrong.")
    ] = None,
    keep: Annotated[
        str | None,
        typer.Option(help="Dtypes, separated by commas, that this machine lacks: the limits in force count, too."),
    ] = None,
    write: Annotated[bool, typer.Option("--write", help="Put them in the place of the limits in force.")] = False,
) -> None:
    """Measure the limits of the verdict again: from records of healthy targets, by one rule for every dtype."""
    kept = options.names("--keep", keep) or []
    evidence = measured(read_records(records), machine_name(), trust or (), kept)
    found = calibrated(evidence)
    typer.echo(content := as_toml(found), nl=False)
    if write:
        path = data_path(*EVIDENCE)
        pages = {limits.PATH: content, path: as_json(evidence), path.with_suffix(".md"): as_markdown(evidence, found)}
        for path, text in pages.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            typer.echo(f"wrote {path}", err=True)
