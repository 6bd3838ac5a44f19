"""What of a model is known to go wrong on a device, told from its graph: nothing is compiled, nothing is run."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, suppress
from dataclasses import asdict, dataclass
from importlib.metadata import version
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import TypeAdapter, ValidationError
from rich.console import Console
from rich.table import Table

from conformance.cases import options
from conformance.cases.releases import releases, resolve
from conformance.commands import isolated
from conformance.commands.arguments import AsJson, Workarounds, console
from conformance.commands.fixing import Place, fixes
from conformance.commands.model_loading import TraceSpec, load_program, trace_spec
from conformance.compare.limits import limit
from conformance.core.errors import UserError, check, first_line
from conformance.core.text import one_line
from conformance.defects.catalogue import find, present
from conformance.defects.defect import Defect
from conformance.defects.frozen_fallback import FROZEN_FALLBACK
from conformance.defects.offering import Helping, Tried, may_change, offered, with_workarounds
from conformance.defects.views_refused import VIEWS_REFUSED
from conformance.graphs.exported import given_shape, mark_inputs, node_scope, source_line
from conformance.graphs.fx_match import operator
from conformance.models.torchvision_ops import seen_whole
from conformance.operators.table import Fate
from conformance.programs.workarounds import WORKAROUNDS
from conformance.report.formatting import plural
from conformance.targets.emulator import Emulator

if TYPE_CHECKING:
    from torch.export import ExportedProgram
    from torch.fx import Node

    from conformance.defects.eager import Met
    from conformance.programs.program import Program


_OF_A_RUN = {Fate.CPU: FROZEN_FALLBACK, Fate.REFUSED: VIEWS_REFUSED}
_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


@dataclass(frozen=True)
class Finding:
    """A known defect at a node of the graph: where, of what shape, how sure it is, and what helps.

    `certainty` is the evidence for the defect: reproduced, transcript (of a device) or report. `workarounds` are
    those that help at this place. `seen_in`: the model's graph or, where torch.export cannot capture it, a run.
    `source`: the line of the model's own source that calls it, `model.py:40`; empty for a file and of a run.
    """

    defect: str
    title: str
    module: str
    operator: str
    shape: tuple[int | str, ...]
    certainty: str
    workarounds: tuple[str, ...]
    links: tuple[str, ...]
    seen_in: str = "graph"
    source: str = ""


def lint(model: str, spec: TraceSpec, hardware: str, sdk: str) -> list[Finding]:
    """Every known defect that a model meets on hardware with an SDK release, in the order of its graph.

    A model is one of a system, `yolo26x-detect`, or any that `conformance check` takes. Of one that torch.export
    cannot capture only what torch-xla does not lower is named. Raises UserError for what is none of them.
    """
    check("hardware", hardware, Emulator.hardware)
    limit(spec.dtype)
    for name in spec.workarounds:
        check("workaround", name, WORKAROUNDS)
    packages = releases()[resolve(sdk)].packages
    if Path(model).suffix == ".pt2":
        return _of_file(Path(model), packages, spec, hardware)
    program = load_program(model, spec)
    try:
        with _quiet(), seen_whole():
            exported = program.exported
    except Exception as error:  # noqa: BLE001 (torch.export has many)
        return _of_a_run(model, program, packages, spec, hardware, error.__cause__ or error)
    where = {"packages": packages, "hardware": hardware, "dtype": spec.dtype}
    with _quiet(), seen_whole():
        helping = Tried(program, spec.workarounds, where).helping
        return findings(exported, program.paths, packages, spec, hardware, helping, source_line)


def _of_a_run(
    model: str, program: Program, packages: Mapping[str, str], spec: TraceSpec, hardware: str, reason: BaseException
) -> list[Finding]:
    """What torch-xla does not lower of a model that torch.export cannot capture. Raises UserError where it does not
    run either, or nothing is found."""
    from conformance.defects.eager import met

    try:
        with _quiet(), seen_whole():
            found = met(program, "functionalization" in spec.workarounds)
            known = present(packages, spec.workarounds, hardware, spec.dtype)
            found = [one for one in found if _OF_A_RUN[one.fate] in known]
            left = _left_with(program, spec.workarounds, found)
    except Exception:  # noqa: BLE001 (the model's own)
        raise UserError(f"{model} cannot be exported: {first_line(reason)}") from reason
    if not found:
        raise UserError(f"{model} cannot be exported: {first_line(reason)}; of its operators nothing is known")
    return [
        _finding(
            _OF_A_RUN[one.fate],
            one.scope,
            one.operator,
            one.shape,
            tuple(
                name
                for name in _OF_A_RUN[one.fate].workarounds
                if name in left and may_change(name, one.operator) and (one.operator, one.scope) not in left[name]
            ),
            seen_in="run",
        )
        for one in found
    ]


def _left_with(program: Program, on: tuple[str, ...], found: Sequence[Met]) -> dict[str, set[tuple[str, str]]]:
    """What is still met in a run with another workaround on, for each that may help and lets it run."""
    from conformance.defects.eager import met

    names = {name for one in found for name in _OF_A_RUN[one.fate].workarounds if may_change(name, one.operator)}
    left = {}
    for name in names.difference(on):
        with suppress(Exception):  # of the model's own: what does not run helps nowhere
            still = met(with_workarounds(program, (*on, name)), "functionalization" in (*on, name))
            left[name] = {(one.operator, one.scope) for one in still}
    return left


def _of_file(path: Path, packages: Mapping[str, str], spec: TraceSpec, hardware: str) -> list[Finding]:
    """Those of an exported program, which a process of its own reads."""

    said = isolated.ask(path, packages, hardware, spec.dtype, spec.workarounds)
    try:
        return TypeAdapter(list[Finding]).validate_python(said)
    except ValidationError:
        raise UserError(f"{path} cannot be read: the process that read it answers something else") from None


def findings(
    exported: ExportedProgram,
    paths: frozenset[str],
    packages: Mapping[str, str],
    spec: TraceSpec,
    hardware: str,
    helping: Helping | None = None,
    source: Callable[[Node], str] = lambda node: "",
) -> list[Finding]:
    """Those of a graph. `paths` are the paths of the program's modules; `helping` says which workarounds help at a
    place, which is else told from the node, and `source` which line calls it."""
    mark_inputs(exported)
    if helping is None:
        helping = lambda defect, node: offered(defect, spec.workarounds, [node])  # noqa: E731
    return [
        _finding(
            defect,
            node_scope(node, paths) or "",
            operator(node),
            given_shape(node),
            helping(defect, node),
            source=source(node),
        )
        for defect, node in find(exported.graph, packages, spec.workarounds, hardware, spec.dtype)
    ]


def _finding(
    defect: Defect,
    scope: str,
    operator: str,
    shape: tuple[int | str, ...],
    workarounds: tuple[str, ...],
    seen_in: str = "graph",
    source: str = "",
) -> Finding:
    return Finding(
        defect=defect.id,
        title=defect.title,
        module=one_line(scope),
        operator=operator,
        shape=shape,
        certainty=defect.evidence.value,
        workarounds=workarounds,
        links=defect.links,
        seen_in=seen_in,
        source=source,
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what torch writes on stderr while it traces: warnings, logs and, where it fails, the graph so far."""
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), redirect_stderr(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)


def print_findings(found: Sequence[Finding], about: str, console: Console) -> None:
    """One line a node, and what is known of each defect below."""
    if not found:
        console.print(f"{about}: nothing that is known goes wrong")
        return
    table = Table(title=f"{about}: {plural(len(found), 'place')} where something is known to go wrong")
    for name in ("defect", "module", "operator", "shape", "certainty", "use instead"):
        table.add_column(name, overflow="fold")
    for one in found:
        shape = " x ".join(map(str, one.shape))
        instead = ", ".join(one.workarounds) or "-"
        table.add_row(one.defect, one.module or "-", one.operator, shape, one.certainty, instead)
    console.print(table)
    if any(one.seen_in == "run" for one in found):
        console.print("torch.export cannot capture it: what torch-xla does not lower of one run is all that was seen")
    for defect, one in {one.defect: one for one in found}.items():
        console.print(f"{defect}: {one.title}\n  {one.links[0]}", highlight=False)


def findings_json(found: Sequence[Finding]) -> str:
    """A list of objects, one for each node."""
    return json.dumps([asdict(one) for one in found], indent=1)


def findings_sarif(found: Sequence[Finding], model: str) -> str:
    """SARIF 2.1.0. There is no source file to point at: a location is the module's path in the model."""
    rules = {one.defect: one for one in found}
    tool = {
        "name": "neuron-conformance",
        "version": version("neuron-conformance"),
        "rules": [
            {"id": name, "shortDescription": {"text": one.title}, "helpUri": one.links[0]}
            for name, one in rules.items()
        ],
    }
    run = {"tool": {"driver": tool}, "results": [_result(one, model) for one in found]}
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=1)


def _result(one: Finding, model: str) -> dict[str, Any]:
    where = ".".join(filter(None, (model, one.module)))
    instead = f" Use {' or '.join(one.workarounds)}." if one.workarounds else ""
    text = f"{one.operator} of {list(one.shape)} in {where}: {one.title} ({one.certainty}).{instead}"
    return {
        "ruleId": one.defect,
        "level": "warning" if one.certainty == "report" else "error",
        "message": {"text": text},
        "locations": [
            {
                "physicalLocation": {"artifactLocation": {"uri": model.partition(":")[0].replace(".", "/")}},
                "logicalLocations": [{"fullyQualifiedName": where, "kind": "module"}],
            }
        ],
    }


def main(
    model: Annotated[
        str, typer.Argument(help="A model as `conformance check` takes it: yolo26x-detect, a factory, a file.")
    ],
    hardware: Annotated[str, typer.Option(help="inf2, trn1 or trn2.")] = "inf2",
    sdk: Annotated[str, typer.Option(help="SDK release.")] = "2.29.1",
    batch: Annotated[int | None, typer.Option(min=1, help="Images at a time; else 1. A .pt2 has its own.")] = None,
    resolution: Annotated[
        str | None,
        typer.Option(
            help="Height x width of the images in pixels; else the model's own, or 640x640. A .pt2 has its own."
        ),
    ] = None,
    dtype: Annotated[str, typer.Option(help="float32, bfloat16, float16, matmult-bf16 or all-bf16.")] = "float32",
    workarounds: Workarounds = None,
    as_json: AsJson = False,
    sarif: Annotated[bool, typer.Option("--sarif", help="As SARIF, for annotations on GitHub.")] = False,
    fix: Annotated[bool, typer.Option("--fix", help="Print the patch that helps, or what to write.")] = False,
) -> None:
    """Name what of a model is known to go wrong on a device: no compile, no run. Exit code 1 where there is any."""
    options.at_most_one(as_json=as_json, sarif=sarif, fix=fix)
    is_exported = not model.endswith(".pt2")
    options.only_with(
        "a model that is exported here", is_exported, batch=batch, resolution=resolution is not None, fix=fix
    )
    spec = trace_spec(batch or 1, resolution, dtype, workarounds)
    found = lint(model, spec, hardware, sdk)
    if as_json or sarif:
        typer.echo(findings_sarif(found, model) if sarif else findings_json(found))
    elif fix:
        for line in fixes(
            Place(one.source or one.module or model, one.defect, one.workarounds, one.links[0]) for one in found
        ):
            typer.echo(line)
    else:
        print_findings(found, f"{model} on {hardware} with SDK {sdk}", console())
    raise typer.Exit(1 if found else 0)
