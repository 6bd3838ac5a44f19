"""The graph of an architecture, exported once, and the known defects of many releases in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch.fx import Graph, Node

from conformance.core.text import one_line
from conformance.defects.catalogue import nodes_of, present
from conformance.defects.defect import Defect
from conformance.defects.offering import offered
from conformance.graphs.exported import given_shape, mark_inputs, node_scope
from conformance.graphs.fx_match import operator
from conformance.models.torchvision_ops import seen_whole
from conformance.programs.program import Whole
from conformance.survey.results import PLACES, Place, Struck
from conformance.systems.architecture import Architecture

_DTYPE = "float32"


class NotExported(Exception):
    """torch.export cannot capture an architecture; its cause says why."""


@dataclass(frozen=True)
class Exported:
    """A graph, and the paths of the modules that it was captured from."""

    graph: Graph
    paths: frozenset[str]

    @property
    def nodes(self) -> int:
        """How many operators it has."""
        return sum(node.op == "call_function" for node in nodes_of(self.graph))


def warm_up() -> None:
    """Load what torch.export loads at its first use."""
    torch.export.export(torch.nn.Identity(), (torch.zeros(1),), strict=False)


def exported(built: Architecture, batch: int, resolution: tuple[int, int]) -> Exported:
    """The graph of an architecture for images of a resolution. Raises NotExported.

    Not of a copy, as `Program.exported` is: nobody uses the module again, and its weights need not be anywhere.
    """
    whole = Whole(built.module).eval()
    images = torch.zeros(batch, built.channels, *resolution)
    try:
        with torch.no_grad(), seen_whole():
            program = torch.export.export(whole, (images,), strict=False)
    except Exception as error:
        raise NotExported from error
    mark_inputs(program)
    return Exported(program.graph, frozenset(path for path, _ in whole.named_modules()))


def struck(of: Exported, columns: Mapping[str, tuple[Mapping[str, str], str]]) -> tuple[Struck, ...]:
    """The defects of these columns in a graph. What triggers a defect does not depend on the column: each is looked
    for once."""
    having: dict[Defect, list[str]] = {}
    for column, (packages, hardware) in columns.items():
        for defect in present(packages, (), hardware, _DTYPE):
            having.setdefault(defect, []).append(column)
    nodes = nodes_of(of.graph)
    met = {defect: [node for node in nodes if defect.triggered_at(node, ())] for defect in having}
    return tuple(_struck(defect, having[defect], found, of.paths) for defect, found in met.items() if found)


def _struck(defect: Defect, columns: Iterable[str], nodes: list[Node], paths: frozenset[str]) -> Struck:
    places = dict.fromkeys(_place(node, paths) for node in nodes)
    return Struck(
        defect=defect.id,
        columns=tuple(columns),
        count=len(nodes),
        places=tuple(places)[:PLACES],
        workarounds=offered(defect, (), nodes),
    )


def _place(node: Node, paths: frozenset[str]) -> Place:
    return Place(module=one_line(node_scope(node, paths) or ""), operator=operator(node), shape=given_shape(node))
