"""A split into written sizes, respelled in its source: where the result is certain, and nowhere else."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass

_SIZES = ("split_size_or_sections", "split_size", "split_sizes")  # what torch and Tensor call them
_PURE = (ast.Name, ast.Attribute, ast.Constant, ast.Subscript, ast.BinOp, ast.UnaryOp, ast.operator, ast.unaryop)
_WHOLE = (ast.Name, ast.Attribute, ast.Constant, ast.Subscript)  # they stand in a sum without brackets


@dataclass(frozen=True)
class Edit:
    """Bytes of a source from `start` to `end`, and what is to stand there."""

    start: int
    end: int
    text: str


def respelled(source: bytes, lines: Sequence[int]) -> tuple[bytes, set[int]]:
    """The source with the splits of these lines spelled `tensor_split`, and the lines where that could be done."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return source, set()
    offsets = _offsets(source)
    edits: dict[Edit, None] = {}
    done = set()
    for line in dict.fromkeys(lines):
        calls = [call for call in _calls(tree, line) if _is_split(call)]
        if len(calls) == 1 and (made := _edits(calls[0], source, offsets)):
            edits.update(dict.fromkeys(made))
            done.add(line)
    for edit in sorted(edits, key=lambda edit: -edit.start):
        source = source[: edit.start] + edit.text.encode() + source[edit.end :]
    return source, done


def _calls(tree: ast.AST, line: int) -> list[ast.Call]:
    """The calls that a line is part of, of the statement whose line it is."""
    statements = [node for node in ast.walk(tree) if isinstance(node, ast.stmt) and _has(node, line)]
    if not statements:
        return []
    innermost = min(statements, key=lambda node: (node.end_lineno or 0) - node.lineno)
    return [node for node in ast.walk(innermost) if isinstance(node, ast.Call) and _has(node, line)]


def _has(node: ast.stmt | ast.expr, line: int) -> bool:
    return node.lineno <= line <= (node.end_lineno or node.lineno)


def _is_split(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute) and call.func.attr in ("split", "split_with_sizes")


def _edits(call: ast.Call, source: bytes, offsets: list[int]) -> list[Edit]:
    """What makes a `tensor_split` of a split; nothing where its sizes are not written there, or computing one twice
    may be another thing than once."""
    assert isinstance(call.func, ast.Attribute)
    of_torch = isinstance(call.func.value, ast.Name) and call.func.value.id == "torch"
    named = next((keyword for keyword in call.keywords if keyword.arg in _SIZES), None)
    given = [named.value] if named else call.args[of_torch : of_torch + 1]
    sizes = given[0] if given else None
    if not isinstance(sizes, ast.List | ast.Tuple) or len(sizes.elts) < 2:
        return []
    if not all(_is_pure(one) for one in sizes.elts) or any(keyword.arg is None for keyword in call.keywords):
        return []

    def text(node: ast.expr) -> str:
        return source[slice(*_span(node, offsets))].decode()

    terms = [text(one) if isinstance(one, _WHOLE) else f"({text(one)})" for one in sizes.elts[:-1]]
    sums = [" + ".join(terms[: count + 1]) for count in range(len(terms))]
    plain = [one.value for one in sizes.elts[:-1] if isinstance(one, ast.Constant) and isinstance(one.value, int)]
    if len(plain) == len(terms):
        sums = [str(sum(plain[: count + 1])) for count in range(len(plain))]
    written = f"({', '.join(sums)}{',' if len(sums) == 1 else ''})"
    after_name = _span(call.func, offsets)[1]
    edits = [Edit(after_name - len(call.func.attr), after_name, "tensor_split")]
    start, end = _span(sizes, offsets)
    if named is not None:
        start, written = _offset(named, offsets), f"indices={written}"
    return [*edits, Edit(start, end, written)]


def _is_pure(node: ast.expr) -> bool:
    """Whether it may be computed twice: no call, nothing that is assigned."""
    return all(isinstance(part, (*_PURE, ast.expr_context, ast.Slice)) for part in ast.walk(node))


def _offsets(source: bytes) -> list[int]:
    """Where each line begins, in bytes."""
    offsets = [0]
    for line in source.splitlines(keepends=True):
        offsets.append(offsets[-1] + len(line))
    return offsets


def _offset(node: ast.expr | ast.keyword, offsets: list[int]) -> int:
    return offsets[node.lineno - 1] + node.col_offset


def _span(node: ast.expr, offsets: list[int]) -> tuple[int, int]:
    assert node.end_lineno is not None
    assert node.end_col_offset is not None
    return _offset(node, offsets), offsets[node.end_lineno - 1] + node.end_col_offset
