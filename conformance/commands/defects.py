"""The catalogue of defects: those of a release, and what changed between two."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from conformance.cases import options
from conformance.cases.releases import releases, resolve
from conformance.commands.arguments import AsJson, console
from conformance.core.errors import check
from conformance.defects.catalogue import DEFECTS, present
from conformance.defects.defect import Defect
from conformance.targets.emulator import Emulator


def defects_met(sdk: str | None, hardware: str | None) -> list[Defect]:
    """The defects that a user of a release meets on a family of hardware, on any where it is None; all of the
    catalogue where no release is given. Raises UserError for a release that is not known."""
    if sdk is None:
        return list(DEFECTS.values())
    packages = releases()[resolve(sdk)].packages
    return present(packages, (), hardware)


def changes(before: str, after: str, hardware: str | None) -> dict[str, list[Defect]]:
    """What appeared from a release to another, and what is gone: fixed, or no longer reported."""
    old, new = defects_met(before, hardware), defects_met(after, hardware)
    return {
        "appeared": [defect for defect in new if defect not in old],
        "gone": [defect for defect in old if defect not in new],
        "still there": [defect for defect in new if defect in old],
    }


def print_defects(found: Mapping[str, Iterable[Defect]], console: Console) -> None:
    """A table for each title."""
    for title, defects in found.items():
        table = Table(title=title)
        for name in ("defect", "what", "certainty", "shows in", "use instead"):
            table.add_column(name, overflow="fold")
        for defect in defects:
            fixed = f" (fixed in {defect.fixed_in})" if defect.fixed_in else ""
            instead = ", ".join(defect.workarounds) or "-"
            table.add_row(defect.id, defect.title + fixed, defect.evidence.value, defect.stage.value, instead)
        console.print(table)


def _objects(found: Iterable[Defect]) -> list[dict[str, Any]]:
    """All that is known of them, for programs."""
    return [
        {
            "defect": defect.id,
            "title": defect.title,
            "known": defect.known,
            "certainty": defect.evidence.value,
            "seen": defect.seen,
            "stage": defect.stage.value,
            "signature": defect.error_code,
            "packages": dict(defect.packages),
            "hardware": list(defect.hardware),
            "dtypes": list(defect.dtypes),
            "fixed_in": defect.fixed_in,
            "workarounds": list(defect.workarounds),
            "links": list(defect.links),
        }
        for defect in found
    ]


def defects_json(found: Mapping[str, Iterable[Defect]]) -> str:
    """As JSON: a list, or an object of lists where there are several."""
    listed = {title: _objects(defects) for title, defects in found.items()}
    return json.dumps(next(iter(listed.values())) if len(listed) == 1 else listed, indent=1)


def main(
    sdk: Annotated[str | None, typer.Option(help="Those of an SDK release; else the whole catalogue.")] = None,
    hardware: Annotated[str | None, typer.Option(help="Those of inf2, trn1 or trn2; else of any.")] = None,
    between: Annotated[
        tuple[str, str] | None, typer.Option(help="Two releases: what appeared, what is gone, what is still there.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the known defects: all, those of a release, or what changed between two."""
    options.at_most_one(sdk=sdk is not None, between=between)
    if hardware is not None:
        check("hardware", hardware, Emulator.hardware)
    if between is not None:
        found = changes(*between, hardware)
    else:
        where = " on ".join(filter(None, (f"SDK {sdk}" if sdk else "the whole catalogue", hardware)))
        found = {f"known defects: {where}": defects_met(sdk, hardware)}
    if as_json:
        typer.echo(defects_json(found))
    else:
        print_defects(found, console())
