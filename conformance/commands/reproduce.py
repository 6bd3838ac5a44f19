"""A script that shows what is to blame for a case that is not right."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from conformance.cases import options
from conformance.commands.arguments import console
from conformance.commands.one_case import Asked, of_one_case
from conformance.core.errors import UserError
from conformance.localize.bundle import write_bundle
from conformance.localize.issue import issue as issue_text
from conformance.localize.localize import localize
from conformance.localize.reproduce import RUNS, reproduce
from conformance.report.attribution import first_tiers
from conformance.results.records import read_if_any


@of_one_case
def main(
    asked: Asked,
    output: Annotated[Path, typer.Option(help="The file that the script is written to.")] = Path("reproduce.py"),
    issue: Annotated[
        Path | None,
        typer.Option(help="A .md file for the text of an issue, in the form of the tracker it belongs to."),
    ] = None,
    bundle: Annotated[
        Path | None,
        typer.Option(
            help="A .zip for script, issue, record, graph, inputs, both outputs, and HLO and log where any."
        ),
    ] = None,
) -> None:
    """Write one Python file that shows the fault, and needs torch and the target's package alone: the smallest
    program that fails the same way. It is run three times before it is offered."""
    for name, path, suffix in (("--output", output, ".py"), ("--issue", issue, ".md"), ("--bundle", bundle, ".zip")):
        if path is not None:
            options.folder(name, path.parent, written=True)
            if path.suffix != suffix:
                raise UserError(f"{name} {path}: give it a name that ends in {suffix}")
    screen = console()
    with asked.opened(screen) as found:
        answer = localize(found.job, found.worker, found.outcome, found.tell, borders=False)
        made = reproduce(answer, found.job, found.worker, found.tell)
        record = found.outcome
        text = issue_text(answer, made, record, first_tiers([*read_if_any(asked.records), record]).get(record.id))
        if bundle is not None:
            write_bundle(bundle, answer, made, record, text, found.job, found.worker)
    for line in answer.lines():
        screen.print(line, soft_wrap=True)
    output.write_text(made.text, encoding="utf-8")
    if issue is not None:
        issue.write_text(text, encoding="utf-8")
    operators, values = made.recipe.size
    screen.print(f"smallest of {made.tried} programs: {operators} operators, {values} values")
    if made.shown is None:
        screen.print(f"{output}: not run, as {found.job.case.column.target} is no compiler that it can call here")
    else:
        screen.print(f"{output}: {made.shown} of {RUNS} runs show it", soft_wrap=True)
    raise typer.Exit(0 if made.confirmed else 1)
