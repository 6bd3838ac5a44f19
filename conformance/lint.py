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

from conformance.cases.errors import UserError, check, first_line
from conformance.cases.text import one_line
from conformance.named import Look, named_program

if TYPE_CHECKING:
    from torch.export import ExportedProgram
    from torch.fx import Node


@dataclass(frozen=True)
class Finding:
    """A known defect at a node of the graph: where, of what shape, how sure it is, and what helps.

    `certainty` is the evidence for the defect: reproduced, transcript (of a device) or report.
    """

    defect: str
    title: str
    module: str
    operator: str
    shape: tuple[int | str, ...]
    certainty: str
    workarounds: tuple[str, ...]
    links: tuple[str, ...]


def lint(model: str, look: Look, hardware: str, sdk: str) -> list[Finding]:
    """Every known defect that a model meets on hardware with an SDK release, in the order of its graph.

    A model is one of a system, `yolo26x-detect`; a callable that returns an nn.Module, or one and its inputs,
    `package.module:factory`; or an ExportedProgram's file. Raises UserError for what is none of them.
    """
    from conformance.cases.releases import releases, resolve
    from conformance.compare.limits import limit
    from conformance.defects.workarounds import WORKAROUNDS
    from conformance.targets.emulator import Emulator

    check("hardware", hardware, Emulator.hardware)
    limit(look.dtype)
    for name in look.workarounds:
        check("workaround", name, WORKAROUNDS)
    packages = releases()[resolve(sdk)].packages
    if Path(model).suffix == ".pt2":
        return _of_file(Path(model), packages, look, hardware)
    exported, paths = _exported(model, look)
    return findings(exported, paths, packages, look, hardware)


def _of_file(path: Path, packages: Mapping[str, str], look: Look, hardware: str) -> list[Finding]:
    """Those of an exported program, which a process of its own reads."""
    from pydantic import TypeAdapter, ValidationError

    from conformance.pt2 import isolated

    said = isolated.findings(path, packages, hardware, look.dtype, look.workarounds)
    try:
        return TypeAdapter(list[Finding]).validate_python(said)
    except ValidationError:
        raise UserError(f"{path} cannot be read: the process that read it answers something else") from None


def findings(
    exported: ExportedProgram, paths: frozenset[str], packages: Mapping[str, str], look: Look, hardware: str
) -> list[Finding]:
    """Those of a graph. `paths` are the paths of the program's modules."""
    from conformance.defects.catalogue import find
    from conformance.defects.small import operator
    from conformance.graphs.exported import node_scope

    return [
        Finding(
            defect=defect.id,
            title=defect.title,
            module=one_line(node_scope(node, paths) or ""),
            operator=operator(node),
            shape=_shape(node),
            certainty=defect.evidence.value,
            workarounds=tuple(name for name in defect.workarounds if name not in look.workarounds),
            links=defect.links,
        )
        for defect, node in find(exported.graph, packages, look.workarounds, hardware, look.dtype)
    ]


def _shape(node: Node) -> tuple[int | str, ...]:
    """Of what the operator is given first; a size that is not fixed is an expression, `2*s77`."""
    for given in (*node.all_input_nodes, node):
        shape = getattr(given.meta.get("val"), "shape", None)
        if shape is not None:
            return tuple(size if isinstance(size, int) else str(size) for size in shape)
    return ()


def _exported(model: str, look: Look) -> tuple[ExportedProgram, frozenset[str]]:
    """The graph of a model, and the paths of its modules."""
    program = named_program(model, look)
    try:
        with _quiet():
            return program.exported, program.paths
    except Exception as error:  # torch.export has many
        raise UserError(f"{model} cannot be exported: {first_line(error)}") from error


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
