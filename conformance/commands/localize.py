"""Which operator of a case that is not right is to blame."""

from __future__ import annotations

import json

import typer
from rich.text import Text

from conformance.commands.arguments import AsJson, screen
from conformance.commands.one_case import Asked, of_one_case
from conformance.localize.localize import localize


@of_one_case
def main(asked: Asked, as_json: AsJson = False) -> None:
    """Find the operator that is to blame for a case that is not right, or the operators that are wrong together, or
    say that none is: the fault shows in context alone, adds up from rounding, or comes now and then.

    Parts of the model's graph are compiled by themselves, fed with what the reference has there, and judged as any
    case is. What is known of an operator is said. Exit code 1 where nothing could be told.
    """
    shown = screen(as_json)
    with asked.opened(shown) as found:
        answer = localize(found.job, found.worker, found.outcome, found.tell)
    if as_json:
        typer.echo(json.dumps(answer.model_dump(mode="json"), indent=1))
    else:
        for number, line in enumerate(answer.lines()):
            shown.print(Text(line, "bold red" if number == 0 else ""), soft_wrap=True)
    raise typer.Exit(0 if answer.found else 1)
