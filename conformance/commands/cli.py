"""The command line, `conformance --help`. Commands import what they need when they run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from conformance.cases import options
from conformance.commands.exits import Commands

if TYPE_CHECKING:
    from rich.console import Console

    from conformance.commands.model_loading import TraceSpec

app = typer.Typer(
    name="conformance",
    cls=Commands,
    help="Is a vision model, compiled for Trainium or Inferentia, right? Cases run with: pytest conformance --help",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

RECORDS = Path("matrices/records")
TABLES = Path("matrices/tables")
EXPECTATIONS = Path("matrices/expectations.toml")


@app.command()
def matrix(
    records: Annotated[Path, typer.Option(help="Folder with the records of one or many runs.")] = RECORDS,
    output: Annotated[Path, typer.Option(help="Folder for compatibility.md, .json and .html.")] = TABLES,
) -> None:
    """Render the records as the compatibility matrix: here, and as Markdown, JSON and HTML."""
    from conformance.report.matrix import build_matrix
    from conformance.report.terminal import print_matrix
    from conformance.report.write import write_matrix
    from conformance.results.records import read_records

    found = build_matrix(read_records(records))
    print_matrix(found, _console())
    for path in write_matrix(found, output):
        typer.echo(f"wrote {path}")


@app.command()
def diff(
    before: Annotated[Path, typer.Argument(help="Folder with the records of the run before.")],
    after: Annotated[Path, typer.Argument(help="Folder with those of this one.")] = RECORDS,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="As Markdown.")] = False,
    common: Annotated[bool, typer.Option("--common", help="Compare only the cases that both have.")] = False,
    issues: Annotated[
        Path | None, typer.Option(help="Folder for an issue of each failure that was not there before.")
    ] = None,
) -> None:
    """What is different between two runs. Exit code 1 where a failure is new, or another one than before."""
    from conformance.commands import difference as report
    from conformance.results.difference import REGRESSIONS, differences
    from conformance.results.records import read_records

    options.at_most_one(as_json=as_json, markdown=markdown)
    found = differences(read_records(before), read_records(after), common)
    if issues is not None:
        report.write_issues(found, issues)
    if as_json or markdown:
        typer.echo(report.as_json(found) if as_json else report.as_markdown(found))
    else:
        report.print_difference(found, _console())
    raise typer.Exit(1 if any(change.kind in REGRESSIONS for change in found) else 0)


@app.command()
def cases(
    profile: Annotated[str, typer.Option(help="A profile's name, or a TOML file.")] = "quick",
    target: Annotated[str | None, typer.Option(help="Targets, separated by commas; else the profile's.")] = None,
) -> None:
    """List the ids of a profile's cases, and how many there are."""
    from conformance.selection.select import Request, select

    options.given("--profile", profile)
    selection = select(Request(profile, options.names("--target", target)))
    everything = [*selection.models, *selection.layers, *selection.minimal]
    for case in everything:
        typer.echo(case.id)
    typer.echo(f"{len(everything)} cases: {selection.counts}", err=True)
    for reason in selection.absent.values():
        typer.echo(f"cannot be run here: {reason}", err=True)


@app.command()
def systems(
    system: Annotated[str | None, typer.Option(help="Systems, separated by commas; else all.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Build them: is every layer alive?")] = False,
    variant: Annotated[str | None, typer.Option(help="With --check: variants; else each system's first.")] = None,
    task: Annotated[str | None, typer.Option(help="With --check: tasks; else all.")] = None,
    size: Annotated[
        int | None, typer.Option(min=1, help="With --check: height and width of the images in pixels; else 320.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="As the table of the README.")] = False,
) -> None:
    """List the models under test; or check that their weights can tell a wrong answer from rounding."""
    from conformance.commands import listing
    from conformance.commands import systems as report

    options.at_most_one(as_json=as_json, markdown=markdown)
    options.at_most_one(check=check, markdown=markdown)
    options.only_with("--check", check, variant=variant is not None, task=task is not None, size=size is not None)
    names, variants, tasks = map(options.names, ("--system", "--variant", "--task"), (system, variant, task))
    if check:
        _check_systems(listing.chosen(names), variants, tasks, size or 320, as_json)
        return
    found = list(listing.listed(names))
    if as_json or markdown:
        typer.echo(report.systems_json(found) if as_json else report.systems_markdown(found))
    else:
        _console().print(report.systems_table(found))


@app.command()
def explain(
    case: Annotated[str, typer.Argument(help="The id of a case that failed; a pattern with * for several.")],
    records: Annotated[Path, typer.Option(help="Folder with the records of one or many runs.")] = RECORDS,
) -> None:
    """Say what is known of a failure, and what shows it first: model, front end, compiler or device."""
    from conformance.cases.outcome import Status
    from conformance.report.attribution import first_tiers
    from conformance.report.failure import lines
    from conformance.results.records import matching, read_records

    found = read_records(records)
    chosen = matching(case, found)
    tiers = first_tiers(found)
    for record in chosen:
        typer.echo(f"{record.id}: {record.summary}")
        if record.failed or record.status is Status.SUITE_ERROR:
            typer.echo("\n".join(lines(record)))
        if record.id in tiers:
            typer.echo(f"  comes in with: {tiers[record.id]}")


@app.command()
def expect(
    accept: Annotated[
        list[str] | None,
        typer.Option(help="Expect the case of this id, or those of a pattern with *, to end as last."),
    ] = None,
    link: Annotated[str | None, typer.Option(help="With --accept: where it is reported.")] = None,
    reason: Annotated[str | None, typer.Option(help="With --accept: why that is no reason not to ship.")] = None,
    until: Annotated[str | None, typer.Option(help="With --accept: when it ends to count, YYYY-MM-DD.")] = None,
    drop: Annotated[list[str] | None, typer.Option(help="Expect nothing of the case of this id any more.")] = None,
    records: Annotated[Path, typer.Option(help="Folder with the records of the runs.")] = RECORDS,
    expectations: Annotated[Path, typer.Option(help="The file that is edited.")] = EXPECTATIONS,
) -> None:
    """Accept failures as they are, with a reason; without --accept and --drop: list those that are accepted."""
    from conformance.results import accepting
    from conformance.results.records import read_all

    options.at_most_one(accept=accept, drop=drop)
    options.only_with("--accept", accept, link=link is not None, reason=reason is not None, until=until is not None)
    why, last = options.why(link, reason, needed=bool(accept)), options.day("--until", until)
    for case in drop or ():
        accepting.drop(expectations, case)
        typer.echo(f"nothing is expected of {case}")
    found = read_all(records) if accept else []
    for pattern in accept or ():
        for entry in accepting.accept(expectations, found, pattern, why, last):
            typer.echo(f"expected: {entry.case} {entry.named}")
    if not (accept or drop):
        _list_expectations(expectations, records)


@app.command(name="calibrate-limits")
def calibrate_limits(
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
    from conformance.compare import limits
    from conformance.compare.calibration import as_toml, calibrated, measured
    from conformance.compare.evidence import EVIDENCE, as_json
    from conformance.core.reading import data_path
    from conformance.host.machine import machine_name
    from conformance.report.limits import as_markdown
    from conformance.results.records import read_records

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


@app.command()
def lint(
    model: Annotated[str, typer.Argument(help="yolo26x-detect, package.module:factory, or a .pt2 file.")],
    hardware: Annotated[str, typer.Option(help="inf2, trn1 or trn2.")] = "inf2",
    sdk: Annotated[str, typer.Option(help="SDK release.")] = "2.29.1",
    batch: Annotated[int | None, typer.Option(min=1, help="Images at a time; else 1. A .pt2 has its own.")] = None,
    resolution: Annotated[
        str | None, typer.Option(help="Height x width of the images in pixels; else 640x640. A .pt2 has its own.")
    ] = None,
    dtype: Annotated[str, typer.Option(help="float32, bfloat16, float16, matmult-bf16 or all-bf16.")] = "float32",
    workarounds: Annotated[str | None, typer.Option(help="Those that are on, joined by +.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    sarif: Annotated[bool, typer.Option("--sarif", help="As SARIF, for annotations on GitHub.")] = False,
) -> None:
    """Name what of a model is known to go wrong on a device: no compile, no run. Exit code 1 where there is any."""
    from conformance.commands import findings as report
    from conformance.commands import lint as linting

    options.at_most_one(as_json=as_json, sarif=sarif)
    exported_here = not model.endswith(".pt2")
    options.only_with("a model that is exported here", exported_here, batch=batch, resolution=resolution is not None)
    look = _look(batch or 1, "640x640" if resolution is None else resolution, dtype, workarounds)
    found = linting.lint(model, look, hardware, sdk)
    if as_json or sarif:
        typer.echo(report.as_sarif(found, model) if sarif else report.as_json(found))
    else:
        report.print_findings(found, f"{model} on {hardware} with SDK {sdk}", _console())
    raise typer.Exit(1 if found else 0)


@app.command()
def analyze(
    model: Annotated[str, typer.Argument(help="yolo26x-detect, or package.module:factory.")],
    batch: Annotated[int, typer.Option(min=1, help="Images at a time.")] = 1,
    resolution: Annotated[str, typer.Option(help="Height x width of the images in pixels.")] = "640x640",
    dtype: Annotated[str, typer.Option(help="float32, bfloat16 or float16.")] = "float32",
    workarounds: Annotated[str | None, typer.Option(help="Those that are on, joined by +.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Ask the installed neuronx-cc about every operator of a model. Exit code 1 where one does not compile."""
    from conformance.commands import analyze as analyzing
    from conformance.commands import support

    found = analyzing.analyze(model, _look(batch, resolution, dtype, workarounds))
    if as_json:
        typer.echo(support.support_json(found))
    else:
        support.print_support(found, model, _console())
    raise typer.Exit(1 if any(one.fails_in for one in found) else 0)


@app.command()
def defects(
    sdk: Annotated[str | None, typer.Option(help="Those of an SDK release; else the whole catalogue.")] = None,
    hardware: Annotated[str | None, typer.Option(help="Those of inf2, trn1 or trn2; else of any.")] = None,
    between: Annotated[
        tuple[str, str] | None, typer.Option(help="Two releases: what appeared, what is gone, what is still there.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """List the known defects: all, those of a release, or what changed between two."""
    from conformance.commands import defects as report
    from conformance.core.errors import check
    from conformance.targets.emulator import Emulator

    options.at_most_one(sdk=sdk is not None, between=between)
    if hardware is not None:
        check("hardware", hardware, Emulator.hardware)
    if between is not None:
        found = report.between(*between, hardware)
    else:
        where = " on ".join(filter(None, (f"SDK {sdk}" if sdk else "the whole catalogue", hardware)))
        found = {f"known defects: {where}": report.met(sdk, hardware)}
    if as_json:
        typer.echo(report.dumped(found))
    else:
        report.print_defects(found, _console())


@app.command()
def partition(
    variant: Annotated[str, typer.Option(help="mobilenet, r50 or r101.")] = "mobilenet",
    resolution: Annotated[str, typer.Option(help="Height x width of the photograph in pixels.")] = "320x320",
    runs: Annotated[int, typer.Option(min=1, max=1000, help="Timed runs; their mean is given.")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Cut Faster R-CNN: what runs on the device, by count, FLOPs and time, and what is left on the CPU."""
    from conformance.cases.case import parse_resolution
    from conformance.partition import fasterrcnn, show

    found = fasterrcnn.measured(variant, *parse_resolution(resolution), runs)
    if as_json:
        typer.echo(show.partition_json(found, fasterrcnn.CUTS))
    else:
        show.print_partition(found, fasterrcnn.CUTS, _console())


@app.command()
def doctor(as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """What this host is, what can be tested here, what is missing and how to install it."""
    from conformance.commands import doctor as host

    facts = host.examine()
    if as_json:
        typer.echo(host.as_json(facts))
    else:
        host.print_report(facts, _console())
    raise typer.Exit(host.exit_code(facts))


def _list_expectations(path: Path, records: Path) -> None:
    """What is accepted, and how it stands by the records."""
    from conformance.cases.expectation import read_expectations
    from conformance.commands.expectations import expectations_table
    from conformance.results.records import read_all

    expected = read_expectations(path)
    _console().print(expectations_table(expected.values(), read_all(records)) if expected else f"{path}: nothing")


def _check_systems(
    names: list[str], variants: list[str] | None, tasks: list[str] | None, size: int, as_json: bool
) -> None:
    from conformance.commands import systems as report
    from conformance.commands.listing import checked

    found = [
        model
        for name in names
        for model in checked(name, variants, tasks, size, tell=lambda model: typer.echo(model, err=True))
    ]
    if as_json:
        typer.echo(report.check_json(found))
    else:
        _console().print(report.check_table(found))
    raise typer.Exit(0 if all(model.alive for model in found) else 1)


def _look(batch: int, resolution: str, dtype: str, workarounds: str | None) -> TraceSpec:
    """How a model is looked at. Raises UserError."""
    from conformance.cases.case import check_size, parse_resolution
    from conformance.commands.model_loading import TraceSpec

    shape = check_size(batch, *parse_resolution(resolution))
    return TraceSpec(shape, dtype, options.one_set("--workarounds", workarounds))


def _console() -> Console:
    """The terminal; lines of 140 columns for a file, a pipe or the log of a CI, where nothing says how many."""
    from rich.console import Console

    console = Console(markup=False, emoji=False)  # what is shown is from records and graphs
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = 140
    return console
