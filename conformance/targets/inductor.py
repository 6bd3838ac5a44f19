"""torch.compile's inductor on the CPU. A cold compile of a YOLO takes more than a minute."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import reduce
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from conformance.cases.case import AUTO_CAST
from conformance.cases.outcome import Stage
from conformance.core.deferred import torch
from conformance.graphs.exported import from_exported
from conformance.targets.base import BaseTarget
from conformance.targets.passes import LIST, left_out
from conformance.targets.protocol import Compiled, Options, Unsupported

if TYPE_CHECKING:
    from conformance.cases.case import Column
    from conformance.programs.program import Program


_STEPS: dict[str, tuple[str, Any]] = {"fusion": ("max_fusion_size", 1), "simd": ("cpp.simdlen", 1)}
_SWITCHES: dict[str, tuple[str, Any]] = {
    "no-patterns": ("pattern_matcher", False),
    "no-layouts": ("layout_optimization", False),
    "precision-casts": ("emulate_precision_casts", True),
}


class Inductor(BaseTarget):
    """Needs a C++ compiler on the host. Its passes are those over the graph, the lowering of each operator,
    `aten.mean.dim`, without which the operator is eager's, and those of its code: fusion and SIMD."""

    name = "inductor"
    settings = {name: f"{option}={value}" for name, (option, value) in _SWITCHES.items()}
    has_passes = True

    def missing(self) -> str | None:
        """That g++ is missing, where it is."""
        return None if shutil.which("g++") else "inductor needs g++: apt-get install g++"

    def packages(self, hardware: str, sdk: str | None) -> dict[str, str]:
        """Inductor is part of torch."""
        return {"torch": version("torch")}

    def snippet(self, column: Column, dtype: str) -> str:
        """The options of torch.compile, and the operators that are left to eager."""
        operators, options = _split(column.settings)
        lines = [f"compiled = torch.compile(model, options={options})"] if options else []
        if operators:
            lines.insert(0, "from torch._inductor.lowering import fallback_handler, lowerings")
        named = (f"torch.ops.{name}" for name in operators)
        return "\n".join([*lines[:1], *(f"lowerings[{one}] = fallback_handler({one})" for one in named), *lines[1:]])

    def compile(self, program: Program, options: Options) -> Compiled:
        """Compile the exported graph; inductor compiles at the first call."""
        if options.dtype == "matmult-bf16":
            program = program.with_casts
        elif options.dtype in AUTO_CAST:
            raise Unsupported(f"no auto-cast, {options.dtype}")
        options.enter(Stage.CAPTURE)
        module = program.exported.module()
        options.lowered(lambda: from_exported(program.exported, program.paths))
        options.enter(Stage.LOWER)
        torch._dynamo.reset()  # or the eighth program of a process is no longer compiled
        operators, switches = _split(options.settings)
        settings = {
            "emulate_precision_casts": options.dtype in AUTO_CAST,  # or it leaves them out
            **switches,
        }
        compiled = torch.compile(module, backend="inductor", fullgraph=True, dynamic=False, options=settings)
        options.enter(Stage.COMPILE)
        with torch.no_grad(), _left_to_eager(operators), _seen(LIST in options.settings) as seen:
            compiled(*program.inputs)
        options.passes([*seen, *_STEPS] if LIST in options.settings else [])
        return compiled


def _split(settings: Sequence[str]) -> tuple[list[str], dict[str, Any]]:
    """The operators that are left to eager, and the options of torch.compile."""
    off = left_out(settings)
    operators = [name for name in off if name.startswith("aten.")]
    options = {option: value for name, (option, value) in _SWITCHES.items() if name in settings}
    options |= dict(_STEPS[name] for name in off if name in _STEPS)
    if passes := [name for name in off if name not in operators and name not in _STEPS]:
        options["disabled_passes"] = ",".join(passes)
    return operators, options


@contextmanager
def _left_to_eager(operators: Sequence[str]) -> Iterator[None]:
    """While the lowerings of some operators are calls of eager."""
    from torch._inductor.lowering import fallback_handler, lowerings

    found = [reduce(getattr, name.split("."), torch.ops) for name in operators]
    handlers = [fallback_handler(one, add_to_fallback_set=False) for one in found]  # type: ignore[no-untyped-call]
    with patch.dict(lowerings, zip(found, handlers, strict=True)), _without_caches(bool(operators)):
        yield


@contextmanager
def _without_caches(wanted: bool) -> Iterator[None]:
    """Compile anew: what is kept of an earlier compile knows nothing of lowerings."""
    from torch._inductor import config

    with config.patch(force_disable_caches=wanted or config.force_disable_caches):
        yield


@contextmanager
def _seen(wanted: bool) -> Iterator[list[str]]:
    """The passes that change the graph meanwhile, and the operators that are lowered, if anybody wants to know."""
    found: list[str] = []
    if not wanted:
        yield found
        return
    from torch._inductor.graph import GraphLowering
    from torch._inductor.lowering import lowerings
    from torch.fx.passes.graph_transform_observer import GraphTransformObserver

    def see(name: str) -> None:
        if name not in found:
            found.append(name)

    def watched(apply: Callable[..., Any]) -> Callable[..., Any]:
        def applied(observer: GraphTransformObserver, function: object) -> Any:
            before = str(observer.gm.graph)
            answer = apply(observer, function)
            if str(observer.gm.graph) != before:
                see(observer.passname)
            return answer

        return applied

    def lowered(graph: GraphLowering, target: Any, args: Any, kwargs: Any) -> Any:
        if target in lowerings:
            see(str(target))
        return lower(graph, target, args, kwargs)

    lower, observer = GraphLowering.call_function, GraphTransformObserver
    with (
        _without_caches(True),
        patch.object(GraphLowering, "call_function", lowered),
        patch.object(observer, "apply_gm_pass", watched(observer.apply_gm_pass)),
        patch.object(observer, "apply_graph_pass", watched(observer.apply_graph_pass)),
    ):
        yield found
