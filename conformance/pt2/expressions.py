"""Expressions in a file of torch.export: what sizes are and what inputs must fulfil. torch evaluates them as Python.

Only numbers, plain names of symbols, arithmetic, comparisons and sympy's own functions are let through, as torch
writes them: `Add(Symbol('s77', positive=True, integer=True), Integer(-1))`, `s77 - 1`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable

from conformance.core.errors import UserError
from conformance.core.text import shortened

_LONGEST = 20_000
_SYMBOL = re.compile(r"(?:s|u|ps|zf|zuf)[0-9]{1,6}")
_NUMBER = re.compile(r"-?[0-9]{1,40}(?:\.[0-9]{0,40})?(?:e[+-]?[0-9]{1,3})?")
_CONSTANTS = frozenset(("true", "false", "oo", "int_oo"))
_ASSUMPTIONS = frozenset(("positive", "negative", "nonnegative", "nonpositive", "nonzero", "zero", "integer", "real"))
_SYMPY_AND_TORCH = (
    "Add Mul Pow Max Min Abs Rational Equality Unequality Eq Ne And Or Not Xor "
    "StrictGreaterThan GreaterThan StrictLessThan LessThan Gt Ge Lt Le Piecewise ExprCondPair ITE floor ceiling sqrt "
    "FloorDiv ModularIndexing Where PythonMod Mod CleanDiv CeilToInt FloorToInt CeilDiv LShift RShift PowByNatural "
    "FloatPow FloatTrueDiv IntTrueDiv IsNonOverlappingAndDenseIndicator TruncToFloat TruncToInt RoundToInt "
    "RoundDecimal ToFloat Identity"
)
_FUNCTIONS = frozenset(_SYMPY_AND_TORCH.split())
_OPERATORS = (
    ast.operator, ast.unaryop, ast.cmpop, ast.boolop, ast.expr_context,
    ast.Expression, ast.BinOp, ast.UnaryOp, ast.BoolOp, ast.Compare,
)  # fmt: skip
# Of guards: what of the inputs is asked, and with what.
_ASKED = frozenset(("size", "stride", "storage_offset", "dim", "numel"))
_PLAIN_CALLS = frozenset(("max", "min", "len", "abs", "int", "float", "bool", "round"))
_LARGEST_EXPONENT = 16


def require_expression(text: str) -> None:
    """Refuse a symbolic expression that is anything else. Raises UserError."""
    _require(text, "expression", _in_expression)


def require_guard(text: str) -> None:
    """Refuse a condition on the inputs, `L['x'].size()[3] % 2 == 0`, that is anything else. Raises UserError."""
    _require(text, "condition", _in_guard)


def is_symbol(text: str) -> bool:
    """Whether this is the name of a symbol: s77, u0."""
    return _SYMBOL.fullmatch(text) is not None


def _require(text: str, kind: str, allowed: Callable[[ast.AST], bool]) -> None:
    try:
        if len(text) > _LONGEST or not (text.isascii() and text.isprintable()) or "#" in text:
            raise ValueError
        good = all(allowed(node) for node in _walked(ast.parse(text, mode="eval")))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        good = False
    if not good:
        raise UserError(f"{shortened(text, 80)!r} is no plain {kind}, and torch would evaluate it")


def _walked(tree: ast.AST) -> list[ast.AST]:
    """All nodes, without those inside a symbol or a number, which are judged as a whole."""
    found, todo = [], [tree]
    while todo:
        node = todo.pop()
        found.append(node)
        if not _is_leaf(node):
            todo += ast.iter_child_nodes(node)
    return found


def _is_leaf(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and _called(node) in ("Symbol", "Integer", "Float")


def _called(node: ast.Call) -> str:
    return node.func.id if isinstance(node.func, ast.Name) else ""


def _in_expression(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        return _is_good_leaf(node) if _is_leaf(node) else _is_function(node)
    if isinstance(node, ast.Name):
        return node.id in _CONSTANTS or node.id in _FUNCTIONS or is_symbol(node.id)
    if isinstance(node, ast.Constant):
        return isinstance(node.value, bool | int | float)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
        return _is_small(node.right)
    return isinstance(node, _OPERATORS)


def _is_function(node: ast.Call) -> bool:
    if node.keywords or _called(node) not in _FUNCTIONS:
        return False
    return _called(node) != "Pow" or (len(node.args) == 2 and _is_small(node.args[1]))


def _is_good_leaf(node: ast.Call) -> bool:
    """`Symbol('s0', integer=True)`, `Integer(-1)`, `Float('0.5', precision=53)`."""
    values = [_literal(value) for value in (*node.args, *(keyword.value for keyword in node.keywords))]
    kind, first, names = _called(node), values[0] if node.args else None, {word.arg for word in node.keywords}
    if len(node.args) != 1:
        return False
    if kind == "Symbol":
        named = isinstance(first, str) and is_symbol(first)
        return named and names <= _ASSUMPTIONS and all(isinstance(value, bool) for value in values[1:])
    if kind == "Float":
        number = isinstance(first, str) and _NUMBER.fullmatch(first) is not None
        return number and names <= {"precision"} and all(value in range(1, 1000) for value in values[1:])
    return isinstance(first, int) and not names


def _is_small(node: ast.AST) -> bool:
    """An exponent: a small number, or a symbol or a fraction, which sympy leaves alone."""
    value = _literal(node.args[0] if isinstance(node, ast.Call) and len(node.args) == 1 else node)
    if isinstance(value, int):
        return abs(value) <= _LARGEST_EXPONENT
    return isinstance(node, ast.Call) and _called(node) == "Rational" and all(map(_is_small, node.args))


def _literal(node: ast.AST) -> object:
    """What a constant is, with its sign; None for anything else."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
        value = node.operand.value
        return -value if isinstance(value, int) else None
    return node.value if isinstance(node, ast.Constant) else None


def _in_guard(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        asked = isinstance(node.func, ast.Attribute) and (node.func.attr in _ASKED or _of_module(node.func))
        return not node.keywords and (asked or _called(node) in _PLAIN_CALLS)
    if isinstance(node, ast.Attribute):
        return not node.attr.startswith("_")
    if isinstance(node, ast.Name):
        return node.id in ("L", "math", "torch") or node.id in _PLAIN_CALLS
    return isinstance(node, (ast.Constant, ast.Subscript, ast.Slice, *_OPERATORS))


def _of_module(node: ast.Attribute) -> bool:
    """`math.floor`, `torch.sym_max`: nothing of torch's that does more than count."""
    module = node.value.id if isinstance(node.value, ast.Name) else ""
    return module == "math" or (module == "torch" and node.attr.startswith("sym_"))
