"""The smallest program that fails as a case does."""

from __future__ import annotations

import typer

from conformance.commands.arguments import AsJson, screen
from conformance.commands.one_case import Asked, of_one_case
from conformance.localize.localize import localize
from conformance.localize.reproduce import minimized
from conformance.localize.scripts import module_text


@of_one_case
def main(asked: Asked, as_json: AsJson = False) -> None:
    """Find the smallest program that fails the same way as a case: the operators that are to blame, with fewer
    outputs and images, smaller sizes, plainer values. `reproduce` makes a script of it that runs by itself."""
    shown = screen(as_json)
    with asked.opened(shown) as found:
        answer = localize(found.job, found.worker, found.outcome, found.tell, borders=False)
        recipe, outcome, tried = minimized(answer, found.job, found.worker, found.tell)
    if as_json:
        typer.echo(recipe.model_dump_json(indent=1))
        return
    operators, values = recipe.size
    shown.print(f"smallest of {tried} programs: {operators} operators, {values} values; {outcome.status.value}")
    shown.print(module_text(recipe), highlight=False, soft_wrap=True)
