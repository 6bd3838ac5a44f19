"""`conformance cases`: what a profile stands for."""

from __future__ import annotations

from typing import Annotated

import typer

from conformance.cases import options
from conformance.selection.select import Request, select


def main(
    profile: Annotated[str, typer.Option(help="A profile's name, or a TOML file.")] = "quick",
    target: Annotated[str | None, typer.Option(help="Targets, separated by commas; else the profile's.")] = None,
) -> None:
    """List the ids of a profile's cases, and how many there are."""
    options.given("--profile", profile)
    selection = select(Request(profile, options.names("--target", target)))
    everything = [*selection.models, *selection.layers, *selection.minimal]
    for case in everything:
        typer.echo(case.id)
    typer.echo(f"{len(everything)} cases: {selection.counts}", err=True)
    for reason in selection.absent.values():
        typer.echo(f"cannot be run here: {reason}", err=True)
