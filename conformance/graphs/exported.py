"""The graph of torch.export, for targets that compile it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conformance.core.deferred import torch
from conformance.graphs.graph import Graph, Operator, Shape, joined
from conformance.graphs.kinds import kind_of

if TYPE_CHECKING:
    from torch.export import ExportedProgram
    from torch.fx import Node

_FRAME = re.compile(r'File "(.+?)", line (\d+), in ')
_PROGRAMS = Path(__file__).parents[1] / "programs"  # what calls the model, and the rewrites


def from_exported(exported: ExportedProgram, paths: frozenset[str]) -> Graph:
    """The graph of an exported program, decomposed or not. `paths` are those of the program's modules."""
    inputs = tuple(exported.graph_signature.user_inputs)
    nodes = list(exported.graph.nodes)
    placeholders = [node for node in nodes if node.op == "placeholder" and node.name not in inputs]
    return Graph(
        operators=tuple(_operator(node, paths) for node in nodes if node.op not in ("placeholder", "output")),
        inputs=tuple(str(name) for name in inputs),
        outputs=tuple(str(name) for name in exported.graph_signature.user_outputs),
        constants={node.name: _shape(node) for node in placeholders if not _whole(node)},
    )


def node_scope(node: Node, paths: frozenset[str]) -> str | None:
    """The scope of a node of torch.fx."""
    return joined((path for path, _ in (node.meta.get("nn_module_stack") or {}).values()), paths)


def source_line(node: Node) -> str:
    """The innermost line that is neither torch's nor this suite's own of those that a node of a graph was called
    from, `model.py:40`, as seen from the current folder; empty where none is known."""
    for path, number in reversed(_FRAME.findall(str(node.meta.get("stack_trace") or ""))):
        file = Path(path)
        if file.is_file() and not any(file.is_relative_to(own) for own in (Path(torch.__file__).parent, _PROGRAMS)):
            return f"{_short(file)}:{number}"
    return ""


def mark_inputs(exported: ExportedProgram) -> None:
    """Say at each placeholder of the graph whether it is an input of the program, or held by it."""
    for node in exported.graph.find_nodes(op="placeholder"):
        node.meta["is_input"] = node.name in exported.graph_signature.user_inputs


def given_shape(node: Node) -> tuple[int | str, ...]:
    """Of what the operator is given first; a size that is not fixed is an expression, `2*s77`."""
    for given in (*node.all_input_nodes, node):
        shape = getattr(given.meta.get("val"), "shape", None)
        if shape is not None:
            return tuple(size if isinstance(size, int) else str(size) for size in shape)
    return ()


def _operator(node: Node, paths: frozenset[str]) -> Operator:
    schema = getattr(node.target, "_schema", None)
    written = _viewed(node.args[0]) if schema is not None and schema.is_mutable else []
    return Operator(
        kind=kind_of(schema.name) if schema is not None else None,
        scope=node_scope(node, paths),
        inputs=tuple(value.name for value in node.all_input_nodes),
        outputs=(node.name, *written),
    )


def _viewed(node: Any) -> list[str]:
    """The names of what is written into: the node itself and, as far as it is a view, what it is a view of."""
    names = [node.name]
    while (schema := getattr(node.target, "_schema", None)) and any(
        value.alias_info and not value.alias_info.is_write for value in schema.returns
    ):
        node = node.args[0]
        names.append(node.name)
    return names


def _whole(node: Node) -> bool:
    """Whether it holds whole numbers."""
    dtype = getattr(node.meta.get("val"), "dtype", None)
    return dtype is not None and not (dtype.is_floating_point or dtype.is_complex or "bool" in str(dtype))


def _shape(node: Node) -> Shape:
    return tuple(getattr(node.meta.get("val"), "shape", ()))


def _short(file: Path) -> Path:
    here = Path.cwd()
    return file.relative_to(here) if file.is_relative_to(here) else file
