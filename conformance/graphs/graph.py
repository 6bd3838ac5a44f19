"""One form for the graphs of all compilers: operators in the order they run, and the values between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property, lru_cache

Shape = tuple[int, ...]


class Kind(str, Enum):
    """Operators that are recognised in every graph. The others are only edges."""

    CONV = "conv"
    MATMUL = "matmul"
    SOFTMAX = "softmax"
    ATTENTION = "attention"
    NORM = "norm"
    RESIZE = "resize"
    TOPK = "topk"
    NMS = "nms"


# What one operator of a kind counts as: a fused attention is its two products and its softmax.
_PARTS: dict[Kind, Counter[Kind]] = {kind: Counter([kind]) for kind in Kind}
_PARTS[Kind.ATTENTION] = Counter({Kind.MATMUL: 2, Kind.SOFTMAX: 1})

Census = Mapping["str | None", Counter[Kind]]


@dataclass(frozen=True)
class Operator:
    """An operator. `scope` is the path of the module it belongs to, `model.6.m.0.attn`, empty at the top; None
    where the graph does not say. `inputs` and `outputs` are names of values; only what is computed from counts
    as an input, not what only gives its shape. What is written into is an input and an output."""

    kind: Kind | None
    scope: str | None
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class Graph:
    """A program: operators in an order in which they can run, its inputs, outputs, and constants with their shapes.

    Weights are constants, too; whole numbers, which say where something is, are left out.
    """

    operators: tuple[Operator, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    constants: Mapping[str, Shape] = field(default_factory=dict)

    @cached_property
    def input_dependent(self) -> frozenset[str]:
        """The values that depend on an input."""
        found = set(self.inputs)
        for operator in self.operators:
            if not found.isdisjoint(operator.inputs):
                found.update(operator.outputs)
        return frozenset(found)

    @cached_property
    def reachable(self) -> frozenset[str]:
        """The values that an output depends on."""
        found = set(self.outputs)
        for operator in reversed(self.operators):
            if not found.isdisjoint(operator.outputs):
                found.update(operator.inputs)
        return frozenset(found)

    def anchors(self, input_dependent: bool = True) -> list[Operator]:
        """The operators of a kind that an output depends on; by default those alone that depend on an input."""
        return [
            operator
            for operator in self.operators
            if operator.kind is not None
            and not self.reachable.isdisjoint(operator.outputs)
            and not (input_dependent and self.input_dependent.isdisjoint(operator.outputs))
        ]

    def census(self, input_dependent: bool = True) -> Census:
        """How many of `anchors` there are of each kind, per scope."""
        found: dict[str | None, Counter[Kind]] = {}
        for operator in self.anchors(input_dependent):
            if operator.kind is not None:
                found.setdefault(operator.scope, Counter()).update(_PARTS[operator.kind])
        return found


@dataclass(frozen=True)
class Source:
    """What a module computes, run as it is.

    `activations` are the shapes of what depends on an input, with the scopes that give it, of code outside torch
    where there is such; `constants` are the shapes of what depends on none, weights included. `called` are the
    operators, `aten::grid_sampler_2d`, each with its scope, that are given something that depends on an input;
    `giving` are the scopes that return such.
    """

    graph: Graph
    activations: Mapping[Shape, tuple[str, ...]]
    constants: frozenset[Shape]
    called: frozenset[tuple[str, str]] = frozenset()
    giving: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Fallback:
    """An operator that a front end computes itself while it traces, `aten::grid_sampler_2d`, and the path of the
    module it belongs to: its result is a constant of the program. `moved`: it takes what depends on an input from
    the device to the CPU, where the model goes on with it."""

    operator: str
    scope: str
    computed: tuple[str, ...] = ()  # what of it, as it is counted: `aten::nonzero` of an `aten::index`
    moved: bool = False


def scope_of(path: str) -> str:
    """The scope of a module of a program, which holds the model as its attribute `module`."""
    return path.removeprefix("module").removeprefix(".")


def joined(names: Iterable[str], paths: frozenset[str]) -> str | None:
    """The scope of the module that a chain of names leads to, from the outermost call of a module to the innermost.

    Exporters name a module by its whole path or by the end of it, as `attn` or `m.0`. `paths` are those of the
    program's modules. None where the names lead nowhere, or to several.
    """
    path: str | None = ""
    for name in filter(None, names):
        path = _below(path, name, paths)
        if path is None:
            return None
    return scope_of(path) if path else None


@lru_cache(maxsize=4096)
def _below(path: str, name: str, paths: frozenset[str]) -> str | None:
    """The module of this name below another: the nearest, as all that is between them is never called itself."""
    start = f"{path}." if path else ""
    if name in paths and name.startswith(start):
        return name
    found = [other for other in paths if other.startswith(start) and other.endswith(f".{name}")]
    depth = min((other.count(".") for other in found), default=0)
    nearest = [other for other in found if other.count(".") == depth]
    return nearest[0] if len(nearest) == 1 else None
