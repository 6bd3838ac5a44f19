"""`conformance survey`: which known defects the architectures of whole packages meet, release by release."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from math import inf
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from conformance.cases import options
from conformance.cases.case import check_size, parse_resolution
from conformance.commands.arguments import RECORDS, AsJson, AsMarkdown, Records
from conformance.commands.progress import counted
from conformance.core.errors import UserError
from conformance.report.formatting import plural
from conformance.results.records import read_if_any, say
from conformance.survey.judging import Judging
from conformance.survey.results import Lines, State, Surveyed
from conformance.survey.run import Question, Survey
from conformance.survey.tables import Tables, as_json, as_markdown, write_tables
from conformance.survey.verdicts import verdicts
from conformance.systems.zoo import SOURCES
from conformance.targets.loading import load_target

_NAME = "survey.jsonl"
_RUN = 10  # times as long as to look at it


def _said(line: Surveyed) -> str:
    """`timm:resnet50: linted, 2 defects, 3.1 s`."""
    found = plural(len(line.defects), "defect") if line.state is State.LINTED else line.why
    return ", ".join(filter(None, (f"{line.id}: {line.state.value}", found, f"{line.seconds:.1f} s")))


def main(
    of: Annotated[str, typer.Option(help=f"Packages: {', '.join(SOURCES)}.")] = "torchvision",
    sdk: Annotated[str, typer.Option(help="SDK releases, separated by commas.")] = "2.29.1",
    hardware: Annotated[str, typer.Option(help="inf2, trn1, trn2; separated by commas.")] = "inf2",
    match: Annotated[str | None, typer.Option(help="Only names like these: 'resnet*,timm:vit_*_224'.")] = None,
    batch: Annotated[int, typer.Option(min=1, help="Images at a time.")] = 1,
    resolution: Annotated[
        str | None, typer.Option(help="Height x width of the images in pixels; else each architecture's own.")
    ] = None,
    smallest: Annotated[
        bool, typer.Option("--smallest", help="Of architectures of the same kinds of layers only the smallest.")
    ] = False,
    target: Annotated[
        str | None, typer.Option(help="Compile and run them as well, as `check` does, on targets as xla,openvino.")
    ] = None,
    million: Annotated[
        float | None, typer.Option(min=0, help="With --target: those of at most so many million parameters.")
    ] = None,
    records: Records = RECORDS,
    workers: Annotated[int, typer.Option(min=1, max=256, help="Processes that look at architectures.")] = 1,
    timeout: Annotated[
        float, typer.Option(help="Seconds that an architecture may take; those that are run take ten times as long.")
    ] = 120.0,
    output: Annotated[
        Path, typer.Option(help="Folder of survey.md, .json, .html, and of the lines that a later run goes on from.")
    ] = Path("matrices/tables"),
    render: Annotated[bool, typer.Option("--render", help="Only write the tables of what is there.")] = False,
    as_json_: AsJson = False,
    markdown: AsMarkdown = False,
) -> None:
    """Look up the known defects in every architecture of a package: no compile, no run, no weights, unless a --target
    is named.

    What was found out by the same versions is not found out again; what has a record of a target is not run on it
    again. The tables show what the records say.
    """
    options.at_most_one(as_json=as_json_, markdown=markdown)
    made = {"match": match, "resolution": resolution is not None, "smallest": smallest}
    options.only_with("a survey that is made", not render, **made)
    options.only_with("--target", target, million=million is not None)
    for name, folder in (("--output", output), ("--records", records)):
        options.folder(name, folder, written=True)
    targets = tuple(options.names("--target", target) or ())
    for spec in targets:
        if reason := load_target(spec).missing():
            raise UserError(reason)
    size = None if resolution is None else parse_resolution(resolution)
    if size is not None:
        check_size(batch, *size)
    wanted = {"--of": of, "--sdk": sdk, "--hardware": hardware}
    sources, sdks, families = (tuple(options.names(name, text) or ()) for name, text in wanted.items())
    question = Question(
        sources, sdks, families, tuple(options.names("--match", match) or ("*",)), batch, size, smallest
    )
    survey = Survey(question, Lines(output / _NAME), workers, options.seconds("--timeout", timeout))
    lines = _there(survey.lines) if render else _run(survey)
    if targets:
        most = inf if million is None else million * 1e6
        judging = Judging(targets, records, most, batch, workers, timeout * _RUN)
        _judge(judging, judging.chosen(lines, read_if_any(records)))
    tables = Tables(tuple(lines), datetime.now(timezone.utc), verdicts(read_if_any(records)))
    written = write_tables(tables, output)
    if as_json_ or markdown:
        typer.echo(as_json(tables) if as_json_ else as_markdown(tables), nl=False)
    else:
        _summary(tables, written)


def _there(lines: Lines) -> list[Surveyed]:
    """Those of an earlier survey. Raises UserError."""
    if not (found := lines.read(say)):
        raise UserError(f"there is no survey in {lines.path.parent}: leave --render out")
    return found


def _run(survey: Survey) -> list[Surveyed]:
    with counted("survey", _said, lambda line: line.state is State.LINTED, lambda line: line.id) as tell:
        return survey.run(tell, say)


def _judge(judging: Judging, lines: list[Surveyed]) -> None:
    console = Console(stderr=True, markup=False, emoji=False)
    with Progress(console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("compiled and run", total=len(lines))

        def tell(said: str, done: int, of: int) -> None:
            bar.update(task, completed=done)
            console.print(f"{done}/{of} {said}", highlight=False, soft_wrap=True)

        judging.run(lines, tell)


def _summary(tables: Tables, written: list[Path], echo: Callable[[str], None] = typer.echo) -> None:
    for source, counts in tables.states.items():
        echo(f"{source}: " + ", ".join(f"{count} {state.value}" for state, count in counts.items()))
    for row in tables.defects:
        echo(f"{row.id}: " + ", ".join(f"{count} in {column}" for column, count in row.seen.items()))
    for target, ended in tables.counts.items():
        echo(f"{target}: " + ", ".join(f"{count} {status}" for status, count in ended.most_common()))
    echo("written: " + ", ".join(map(str, written)))
