"""What of a model is known to go wrong on a device, told from its graph: nothing is compiled, nothing is run."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from conformance.commands.model_loading import TraceSpec, named_program
from conformance.core.errors import UserError, check, first_line
from conformance.core.text import one_line

if TYPE_CHECKING:
    from torch.export import ExportedProgram
    from torch.fx import Node

    from conformance.defects.defect import Defect
    from conformance.defects.offering import Helping
    from conformance.programs.program import Program


@dataclass(frozen=True)
class Finding:
    """A known defect at a node of the graph: where, of what shape, how sure it is, and what helps.

    `certainty` is the evidence for the defect: reproduced, transcript (of a device) or report. `workarounds` are
    those that help at this place. `seen_in`: the model's graph or, where torch.export cannot capture it, a run.
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


def lint(model: str, look: TraceSpec, hardware: str, sdk: str) -> list[Finding]:
    """Every known defect that a model meets on hardware with an SDK release, in the order of its graph.

    A model is one of a system, `yolo26x-detect`; a callable that returns an nn.Module, or one and its inputs,
    `package.module:factory`; or an ExportedProgram's file. Of one that torch.export cannot capture only what
    torch-xla does not lower is named. Raises UserError for what is none of them.
    """
    from conformance.cases.releases import releases, resolve
    from conformance.compare.limits import limit
    from conformance.defects.offering import Tried
    from conformance.models.torchvision_ops import seen_whole
    from conformance.programs.workarounds import WORKAROUNDS
    from conformance.targets.emulator import Emulator

    check("hardware", hardware, Emulator.hardware)
    limit(look.dtype)
    for name in look.workarounds:
        check("workaround", name, WORKAROUNDS)
    packages = releases()[resolve(sdk)].packages
    if Path(model).suffix == ".pt2":
        return _of_file(Path(model), packages, look, hardware)
    program = named_program(model, look)
    try:
        with _quiet(), seen_whole():
            exported = program.exported
    except Exception as error:  # torch.export has many
        return _of_a_run(model, program, packages, look, hardware, error.__cause__ or error)
    where = {"packages": packages, "hardware": hardware, "dtype": look.dtype}
    with _quiet(), seen_whole():
        helping = Tried(program, look.workarounds, where).helping
        return findings(exported, program.paths, packages, look, hardware, helping)


def _of_a_run(
    model: str, program: Program, packages: Mapping[str, str], look: TraceSpec, hardware: str, reason: BaseException
) -> list[Finding]:
    """What torch-xla does not lower of a model that torch.export cannot capture. Raises UserError where it does not
    run either, or nothing is found."""
    from conformance.defects.catalogue import present
    from conformance.defects.eager import met
    from conformance.defects.frozen_fallback import FROZEN_FALLBACK
    from conformance.defects.views_refused import VIEWS_REFUSED
    from conformance.models.torchvision_ops import seen_whole
    from conformance.operators.table import Fate

    functionalization = "functionalization" in look.workarounds
    try:
        with _quiet(), seen_whole():
            found = met(program, functionalization)
            with_it = {(one.operator, one.scope) for one in (found if functionalization else met(program, True))}
    except Exception:  # the model's own
        raise UserError(f"{model} cannot be exported: {first_line(reason)}") from reason
    defects = {Fate.CPU: FROZEN_FALLBACK, Fate.REFUSED: VIEWS_REFUSED}
    known = present(packages, look.workarounds, hardware, look.dtype)
    found = [one for one in found if defects[one.fate] in known]
    if not found:
        raise UserError(f"{model} cannot be exported: {first_line(reason)}; of its operators nothing is known")
    return [
        _finding(
            defect,
            one.scope,
            one.operator,
            one.shape,
            () if (one.operator, one.scope) in with_it else defect.workarounds,
            seen_in="run",
        )
        for one, defect in ((one, defects[one.fate]) for one in found)
    ]


def _of_file(path: Path, packages: Mapping[str, str], look: TraceSpec, hardware: str) -> list[Finding]:
    """Those of an exported program, which a process of its own reads."""
    from pydantic import TypeAdapter, ValidationError

    from conformance.commands import isolated

    said = isolated.findings(path, packages, hardware, look.dtype, look.workarounds)
    try:
        return TypeAdapter(list[Finding]).validate_python(said)
    except ValidationError:
        raise UserError(f"{path} cannot be read: the process that read it answers something else") from None


def findings(
    exported: ExportedProgram,
    paths: frozenset[str],
    packages: Mapping[str, str],
    look: TraceSpec,
    hardware: str,
    helping: Helping | None = None,
) -> list[Finding]:
    """Those of a graph. `paths` are the paths of the program's modules; `helping` says which workarounds help at a
    place, which is else told from the node."""
    from conformance.defects.catalogue import find
    from conformance.defects.offering import offered
    from conformance.graphs.exported import node_scope
    from conformance.graphs.fx_match import operator

    for node in exported.graph.find_nodes(op="placeholder"):
        node.meta["is_input"] = node.name in exported.graph_signature.user_inputs
    if helping is None:
        helping = lambda defect, node: offered(defect, look.workarounds, [node])  # noqa: E731
    return [
        _finding(defect, node_scope(node, paths) or "", operator(node), _shape(node), helping(defect, node))
        for defect, node in find(exported.graph, packages, look.workarounds, hardware, look.dtype)
    ]


def _finding(
    defect: Defect,
    scope: str,
    operator: str,
    shape: tuple[int | str, ...],
    workarounds: tuple[str, ...],
    seen_in: str = "graph",
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
    )


def _shape(node: Node) -> tuple[int | str, ...]:
    """Of what the operator is given first; a size that is not fixed is an expression, `2*s77`."""
    for given in (*node.all_input_nodes, node):
        shape = getattr(given.meta.get("val"), "shape", None)
        if shape is not None:
            return tuple(size if isinstance(size, int) else str(size) for size in shape)
    return ()


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
