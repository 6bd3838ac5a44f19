"""Whether a compiled graph still computes all that the module does: nothing is dropped, nothing is a constant now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher

from conformance.graphs.graph import Census, Graph, Kind, Shape, Source

DROPPED = "dropped"
CONSTANT_FOLDED = "constant-folded"
# A norm may be folded into the convolution before it.
_MUST_STAY = tuple(kind for kind in Kind if kind not in (Kind.NORM, Kind.ATTENTION))
_SAME = {Kind.CONV: Kind.MATMUL, Kind.MATMUL: Kind.CONV}  # a 1x1 convolution is a product of matrices
_MOST_LINES = 8


@dataclass(frozen=True)
class GraphFinding:
    """Something the compiled graph lacks, and the module it is missing in."""

    signature: str
    scope: str
    text: str


def check_integrity(source: Source, lowered: Graph) -> list[GraphFinding]:
    """What the lowered graph has lost, in the order of the source."""
    return [
        *(list(_missing(source.graph, lowered)) or _cut_off(source.graph, lowered)),
        *_constant_outputs(source.graph, lowered),
        *_constant_folded(source, lowered),
    ]


def cause_text(findings: Sequence[GraphFinding]) -> str:
    """The findings of the first few scopes, and how many scopes there are more."""
    texts: dict[str, list[str]] = {}
    for finding in findings:
        texts.setdefault(finding.scope, []).append(finding.text)
    lines = [f"{scope or 'the module itself'}: {', '.join(found)}" for scope, found in texts.items()]
    more = [f"and {len(lines) - _MOST_LINES} modules more"] if len(lines) > _MOST_LINES else []
    return "; ".join([*lines[:_MOST_LINES], *more])


def anchor_table(source: Source, lowered: Graph) -> str:
    """How many operators of each kind there are in the source and in the lowered graph, a line a scope."""
    wanted, found = source.graph.census(), lowered.census()
    lines = []
    for scope in dict.fromkeys([*wanted, *found]):
        before, after = wanted.get(scope, Counter()), found.get(scope, Counter())
        counts = [f"{k.value} {before[k]} -> {after[k]}" for k in Kind if before[k] or after[k]]
        lines.append(f"{scope if scope is not None else '(scope not known)':<40} {', '.join(counts)}")
    return "\n".join(lines)


def _missing(source: Graph, lowered: Graph) -> Iterator[GraphFinding]:
    """Operators of which a scope has fewer than it had. Those whose scope is not known may be of any."""
    wanted, constant = source.census(), lowered.census(input_dependent=False)
    found = _unfolded(source, lowered.census())
    short = {scope: _short(counts, found.get(scope, Counter())) for scope, counts in wanted.items()}
    fewer = _short(sum(short.values(), Counter[Kind]()), found.get(None, Counter()))
    if not fewer:
        return
    inferred = None in found
    for scope, counts in _by_order(source, lowered, fewer).items() if inferred else short.items():
        for kind, number in counts.items():
            had = wanted[scope][kind]
            still = constant.get(scope, Counter())[kind] >= had and not inferred
            text = f"{kind.value} {had} -> {had - number}"
            text += " that depend on an input" if still else ""
            text += " (scope inferred from the order of the operators)" if inferred else ""
            yield GraphFinding(CONSTANT_FOLDED if still else DROPPED, scope or "", text)


def _cut_off(source: Graph, lowered: Graph) -> Iterator[GraphFinding]:
    """Where nothing is missing: operators that one output does not depend on any more, while another one does."""
    if len(source.outputs) == 1:  # all that is missing is missing for it
        return
    for index, (before, after) in enumerate(zip(source.outputs, lowered.outputs, strict=False)):
        if after in lowered.input_dependent:
            for lost in _missing(replace(source, outputs=(before,)), replace(lowered, outputs=(after,))):
                yield replace(lost, text=f"{lost.text} for output {index}")


def _unfolded(source: Graph, found: Census) -> Census:
    """The census with convolutions that a norm was folded into in their own scope again, not in the norm's."""
    wanted = source.census()
    found = {scope: Counter(counts) for scope, counts in found.items()}
    makers = {name: operator for operator in source.operators for name in operator.outputs}
    for norm in source.anchors():
        folded = makers.get(norm.inputs[0])
        if norm.kind != Kind.NORM or folded is None or folded.kind not in _SAME or norm.scope not in found:
            continue
        there, before = found[norm.scope], wanted[norm.scope]
        if there[Kind.NORM] < before[Kind.NORM] and there[folded.kind] > before[folded.kind]:
            there[folded.kind] -= 1
            found.setdefault(folded.scope, Counter())[folded.kind] += 1
    return found


def _short(wanted: Counter[Kind], found: Counter[Kind]) -> Counter[Kind]:
    """How many of each kind are fewer than wanted."""
    more = found - wanted
    short: Counter[Kind] = Counter()
    for kind in _MUST_STAY:
        short[kind] = wanted[kind] - found[kind] - (more[_SAME[kind]] if kind in _SAME else 0)
    return +short


def _by_order(source: Graph, lowered: Graph, fewer: Counter[Kind]) -> dict[str | None, Counter[Kind]]:
    """The scopes of the operators that are missing, if both graphs have them in the same order."""
    before, after = ([op for op in graph.anchors() if op.kind in fewer] for graph in (source, lowered))
    matcher = SequenceMatcher(None, [op.kind for op in before], [op.kind for op in after], autojunk=False)
    missing: dict[str | None, Counter[Kind]] = {}
    for what, start, stop, _, _ in matcher.get_opcodes():
        for op in before[start:stop] if what in ("delete", "replace") else ():
            if op.kind is not None:
                missing.setdefault(op.scope, Counter())[op.kind] += 1
    return missing


def _constant_outputs(source: Graph, lowered: Graph) -> Iterator[GraphFinding]:
    """Outputs that depend on no input any more."""
    for index, (before, after) in enumerate(zip(source.outputs, lowered.outputs, strict=False)):
        if before in source.input_dependent and after not in lowered.input_dependent:
            yield GraphFinding(CONSTANT_FOLDED, "", f"output {index} depends on no input")


def _constant_folded(source: Source, lowered: Graph) -> Iterator[GraphFinding]:
    """Constants that have the shape of an activation and, transposed or not, that of no constant of the module.

    Named after the module that reads it or, where the graph does not say, the first that gives this shape.
    """
    honest = {_extents(shape) for shape in source.constants}
    for name, shape in lowered.constants.items():
        givers = source.activations.get(shape, ())
        if givers and name in lowered.reachable and len(shape) > 1 and _extents(shape) not in honest:
            readers = (op.scope for op in lowered.operators if name in op.inputs and op.scope is not None)
            text = f"reads a constant of an activation's shape, {'x'.join(map(str, shape))}"
            yield GraphFinding(CONSTANT_FOLDED, next(readers, givers[0]), text)


def _extents(shape: Shape) -> Shape:
    """The shape without its dimensions of 1, which compilers add and remove, and without its order."""
    return tuple(sorted(extent for extent in shape if extent != 1))
