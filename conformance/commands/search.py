"""Where a case is right: at other shapes, with workarounds and settings, without a pass of the compiler."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from conformance.commands.arguments import AsJson, require_picture, screen
from conformance.commands.exits import ExitingGroup
from conformance.commands.one_case import Asked, of_one_case
from conformance.core.errors import UserError
from conformance.search import maps, sweep
from conformance.search.passes import Blamed, blamed_pass
from conformance.search.remedy import Remedies, remedies
from conformance.search.trials import Trials

T = TypeVar("T", Remedies, Blamed)
_BATCHES = (1, 2, 3, 4, 8)

app = typer.Typer(
    cls=ExitingGroup,
    help="Find where a case is right: at which shapes, with what, without which pass.",
    no_args_is_help=True,
    add_completion=False,
)


@app.command("sweep")
@of_one_case
def sweep_command(
    asked: Asked,
    output: Annotated[Path | None, typer.Option(help="A .svg (of one map) or .html file for the picture.")] = None,
    as_json: AsJson = False,
) -> None:
    """Draw where a model is right over batch, resolution, dtype, settings: several of each may be given. Each batch
    is tried at the smallest size and each size at the smallest batch; what lies between only where it can differ."""
    require_picture("--output", output)
    shown = screen(as_json)
    with asked.around(shown, _BATCHES) as (runner, tell):
        found = sweep.maps(runner.selection.models)
        for one in found:
            sweep.sweep(one, lambda case: (tell(case.id), runner.run(case))[1])
    if output is not None and output.suffix == ".svg":
        if len(found) > 1:
            raise UserError(f"--output {output} is for one map, and there are {len(found)}: give a .html file")
        output.write_text(maps.svg(found[0]), encoding="utf-8")
    elif output is not None:
        output.write_text(maps.html(found), encoding="utf-8")
    if as_json:
        typer.echo(json.dumps([_plain(one) for one in found], indent=1))
        return
    for one in found:
        shown.print(maps.table(one))
        for line in one.borders():
            shown.print(Text(line), soft_wrap=True)
        shown.print(f"{len(one.records)} of {len(one.cases)} were tried", style="dim")


@app.command("remedy")
@of_one_case
def remedy_command(asked: Asked, as_json: AsJson = False) -> None:
    """Find the smallest set of workarounds, environment switches and settings of the target with which a case that is
    not right is, and what it costs in time. Exit code 1 where there is none."""
    _answer(asked, as_json, remedies, _print_remedies)


@app.command("pass")
@of_one_case
def pass_command(asked: Asked, as_json: AsJson = False) -> None:
    """Find the pass of the target's compiler without which a case that is not right is: of ONNX Runtime's optimisers,
    inductor's passes, fusion and lowerings, XLA's HLO passes. Exit code 1 where none is to blame."""
    _answer(asked, as_json, blamed_pass, _print_pass)


def _answer(asked: Asked, as_json: bool, find: Callable[[Trials], T], show: Callable[[T, Console], None]) -> None:
    """What is found of a case is shown, and the exit code says whether there is any."""
    shown = screen(as_json)
    with asked.opened(shown) as one:
        answer = find(Trials(one.job.case, one.outcome, one.runner, one.tell))
    if as_json:
        typer.echo(answer.model_dump_json(indent=1))
    else:
        show(answer, shown)
    raise typer.Exit(0 if answer.found else 1)


def _print_remedies(found: Remedies, shown: Console) -> None:
    if not found.remedies:
        shown.print(Text(f"nothing of what was tried helps: {', '.join(found.tried)}", "bold red"), soft_wrap=True)
        return
    shown.print(Text(f"{found.case} is right with", "bold"), soft_wrap=True)
    rows = Table()
    rows.add_column()
    rows.add_column("one call", justify="right")
    rows.add_row("(as it is: not right)", _seconds(found.run), style="dim")
    for one in found.remedies:
        rows.add_row(one.name, _cost(one.run, found.run))
    shown.print(rows)
    _print_snippet(found.remedies[0].snippet, shown)


def _print_pass(found: Blamed, shown: Console) -> None:
    if found.passes:
        said = f"right without {' and '.join(found.passes)}, of {len(found.of)} passes"
        shown.print(Text(said, "bold"), soft_wrap=True)
        _print_snippet(found.snippet, shown)
    else:
        said = f"wrong without any of {len(found.of)} passes: it is so before them, or in what cannot be left out"
        shown.print(Text(f"{said}: {', '.join(found.of)}", "bold red"), soft_wrap=True)


def _print_snippet(text: str, shown: Console) -> None:
    shown.print(text, highlight=False, soft_wrap=True)


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.3g} s"


def _cost(value: float | None, before: float | None) -> str:
    return _seconds(value) + (f" ({value / before:.2f}x)" if value is not None and before else "")


def _plain(one: sweep.Map) -> dict[str, object]:
    return {
        "title": one.title,
        "borders": one.borders(),
        "cases": [
            {
                "case": case.id,
                "tried": one.record(point) is not None,
                "status": one.shown(point).status.value,
                "summary": one.shown(point).summary,
            }
            for point, case in sorted(one.cases.items())
        ],
    }
