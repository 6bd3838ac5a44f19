"""What is known of NeuronCores and SDK releases, on the CPU. Emulated: no figure of it was measured on one.

The exported graph runs on the CPU with the faults of the defects that the release is known to have. A pass
means only that none of them is triggered.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from conformance.cases.case import AUTO_CAST
from conformance.cases.outcome import Stage
from conformance.cases.releases import releases
from conformance.core.deferred import torch
from conformance.defects.catalogue import find
from conformance.defects.cpu_fallback import masks_of
from conformance.defects.defect import Defect, EmulatedFault
from conformance.graphs.exported import from_exported, node_scope
from conformance.targets.base import BaseTarget
from conformance.targets.protocol import Compiled, CompileError, Crashed, Options

if TYPE_CHECKING:
    from torch import Tensor
    from torch.fx import Node

    from conformance.programs.program import Program

# By the defects that a release has, the workarounds that are on, and what is cast.
_Variants = dict[tuple[frozenset[Defect], tuple[str, ...], "str | None"], Compiled]


class Emulator(BaseTarget):
    """inf2 and trn1 have NeuronCore-v2, trn2 has v3."""

    name = "emulator"
    emulated = True
    hardware = ("inf2", "trn1", "trn2")
    sdks = tuple(releases())

    def __init__(self) -> None:
        self._compiled: WeakKeyDictionary[Program, _Variants] = WeakKeyDictionary()

    def missing(self) -> str | None:
        """Nothing: it needs only torch."""
        return None

    def packages(self, hardware: str, sdk: str | None) -> dict[str, str]:
        """Those of the release that is emulated."""
        return releases()[sdk or self.sdks[-1]].packages

    def compile(self, program: Program, options: Options) -> Compiled:
        """The graph with its faults. Releases with the same defects get the very same program."""
        options.enter(Stage.CAPTURE)
        graph = program.exported.graph
        options.lowered(lambda: from_exported(program.exported, program.paths))
        options.enter(Stage.LOWER)
        packages = self.packages(options.hardware, options.sdk)
        found = find(graph, packages, options.workarounds, options.hardware, options.dtype)
        refused = [(defect, node) for defect, node in found if defect.error_code]
        if refused:
            defect, node = min(refused, key=lambda pair: list(Stage).index(pair[0].stage))
            options.enter(defect.stage)
            failed = Crashed if str(defect.error_code).startswith("SIG") else CompileError
            where = node_scope(node, program.paths) or "the model itself"
            raise failed(str(defect.error_code), f"{node.target} in {where}")
        options.enter(Stage.COMPILE)
        defects = frozenset(defect for defect, _ in found)
        known = self._compiled.setdefault(program.origin, {})
        variant = defects, options.workarounds, AUTO_CAST.get(options.dtype)
        if variant not in known:
            known[variant] = _cast(_with_faults(program, defects, options.workarounds), options.dtype)
        return known[variant]


def _cast(compiled: Compiled, dtype: str) -> Compiled:
    """With the casts that an auto-cast makes, emulated too."""
    if dtype not in AUTO_CAST:
        return compiled
    from conformance.programs.autocast import auto_cast

    def run(*inputs: Tensor) -> tuple[Tensor, ...]:
        with auto_cast(dtype):
            return compiled(*inputs)

    return run


def _with_faults(program: Program, defects: frozenset[Defect], workarounds: tuple[str, ...]) -> Compiled:
    """The program's graph, with the fault in place of every node that triggers its defect."""
    module = program.exported.module()
    triggered = [
        (node, defect)
        for node in module.graph.nodes
        for defect in defects
        if defect.fault is not None and defect.triggered_at(node, workarounds)
    ]
    for node, defect in triggered:
        if defect.fault is EmulatedFault.UNPUBLISHED:
            node.target = _wrong(node.target)
        elif defect.fault is not EmulatedFault.FROZEN:
            node.target = defect.fault
    module.recompile()
    masks = {node: masks_of(node) for node, defect in triggered if defect.fault is EmulatedFault.FROZEN}
    watched = {one for node, read in masks.items() for one in (read or [node])}
    computed = _computed(watched, module, program)
    for node, read in masks.items():
        if not read:
            node.target = _constant(computed[node])
        for mask in read:  # of an index that alone is read on the CPU
            with module.graph.inserting_before(node):
                node.replace_input_with(mask, module.graph.call_function(_constant(computed[mask])))
    module.recompile()
    return module


def _wrong(operator: Any) -> Any:
    """The operator with its answer moved by one place along the last dimension: certainly not the right one, and of
    the right shape and size. What a device gives, nobody has said."""

    def wrong(*arguments: Any, **options: Any) -> Any:
        return operator(*arguments, **options).roll(1, -1)

    return wrong


def _computed(nodes: Collection[Node], module: Any, program: Program) -> dict[Node, Any]:
    """What the nodes give for the inputs that the program is compiled for."""
    found: dict[Node, Any] = {}

    class Watching(torch.fx.Interpreter):
        def run_node(self, node: Node) -> Any:
            value = super().run_node(node)
            if node in nodes:
                found[node] = value
            return value

    if nodes:
        Watching(module).run(*(x.clone() for x in program.inputs))
    return found


def _constant(value: Any) -> Any:
    """An operator that gives this, whatever it is given."""
    return lambda *arguments, **options: value
