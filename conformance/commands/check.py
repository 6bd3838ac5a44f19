"""Is a model right on a target: one line, with the cause, and what works instead."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from conformance.cases import options
from conformance.cases.options import CALLS
from conformance.checking.check import check_model
from conformance.checking.report import Report
from conformance.commands.arguments import (
    RECORDS,
    AsJson,
    Batch,
    Calibrate,
    CaseTimeout,
    Dtype,
    Hardware,
    Images,
    Resolution,
    Sdk,
    Sets,
    Settings,
    Target,
    Weights,
    chosen_of,
    screen,
)
from conformance.commands.progress import progress
from conformance.host.probe import installed_version
from conformance.results.records import RecordWriter, records_file
from conformance.running.worker import Worker
from conformance.selection.model import BEST, ModelRequest, best_target, find_model
from conformance.targets.loading import load_target

FAILED, OURS = 1, 3


def main(
    model: Annotated[
        str,
        typer.Argument(
            help="package.module:factory; torchvision:resnet18, timm:NAME, transformers:NAME; a .pt or .yaml of "
            "ultralytics; a .pt2; or a model of `conformance systems`."
        ),
    ],
    target: Target = None,
    batch: Batch = None,
    resolution: Resolution = None,
    dtype: Dtype = None,
    images: Images = None,
    layers: Annotated[
        str | None, typer.Option(help="Paths or patterns of layers, as 'model.*,head'; else 20 to 60 are chosen.")
    ] = None,
    depth: Annotated[int | None, typer.Option(min=1, help="All layers at this depth instead.")] = None,
    groups: Annotated[
        str | None,
        typer.Option(help="Names of outputs, as boxes,logits, or of their channels, as boxes=:4,scores=4:."),
    ] = None,
    isolated: Annotated[
        bool, typer.Option("--isolated", help="Compile each layer alone, too; else where the whole cannot be judged.")
    ] = False,
    calibrate: Calibrate = None,
    weights: Weights = None,
    hardware: Hardware = None,
    sdk: Sdk = None,
    settings: Settings = None,
    workarounds: Sets = None,
    calls: Annotated[int, typer.Option(help="How often each program is called, with two sets of images.")] = CALLS,
    case_timeout: CaseTimeout = 900,
    records: Annotated[Path, typer.Option(help="Folder that records are written to.")] = RECORDS,
    as_json: AsJson = False,
) -> None:
    """Say whether a model is right on a target: compiled, called with two sets of images, each answer compared with a
    float64 reference, group by group, image by image, layer by layer. Exit code 1 where it is not, or where nothing
    could be judged."""
    options.calls("--calls", calls)
    options.seconds("--case-timeout", case_timeout)
    options.folder("--records", records, written=True)
    found = find_model(
        model,
        layers=tuple(options.names("--layers", layers) or ()),
        depth=depth,
        groups=options.groups("--groups", groups),
        calibrate=calibrate,
        pictures=options.given("--images", images),
    )
    chosen = chosen_of(batch, resolution, dtype, hardware, sdk, settings, workarounds, weights)
    targets = options.names("--target", target)
    request = ModelRequest(found, targets or (best_target(),), chosen, isolated, pictures=images)
    shown = screen(as_json)
    if not as_json:
        shown.print(_first_line(model, request, chosen=targets is not None))
    report = _checked(request, records, calls, case_timeout, shown)
    if as_json:
        typer.echo(json.dumps([record.model_dump(mode="json", by_alias=True) for record in report.all], indent=1))
    else:
        _print(report, records, shown)
    raise typer.Exit(OURS if report.suite_error else 0 if report.passed else FAILED)


def _first_line(model: str, request: ModelRequest, chosen: bool) -> str:
    """Which target, how real it is, and why this one."""
    parts = []
    for name in request.targets or ():
        target = load_target(name)
        version = installed_version({"xla": "torch-xla", "inductor": "torch"}.get(name, name))
        parts.append(f"{name}{f' {version}' if version else ''} ({'emulated' if target.emulated else 'real'})")
    line = f"conformance: {model} on {', '.join(parts)}"
    if chosen:
        return line
    better = load_target(BEST[0]).missing()
    return f"{line}, the best that is here" + (f"; {better}" if better else "")


def _checked(request: ModelRequest, records: Path, calls: int, timeout: float, screen: Console) -> Report:
    worker = Worker(max(1, os.cpu_count() or 1), timeout)
    try:
        with progress(screen, worker) as tell:
            return check_model(request, worker, RecordWriter(records_file(records)), calls, tell)
    finally:
        worker.close()


def _print(report: Report, records: Path, screen: Console) -> None:
    for record in report.records:
        first, *rest = report.lines(record)
        colour = "green" if first.startswith("RIGHT") else "red" if record.failed else "yellow"
        screen.print(Text(first, f"bold {colour}"))
        for line in rest:
            screen.print(Text(line), soft_wrap=True)
    screen.print(Text(f"records: {records}", "dim"))
