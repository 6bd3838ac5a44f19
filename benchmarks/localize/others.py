"""The localisers of others, on the same fault of the same graph: each in its best configuration, each by the
same measure of what is wrong."""

from __future__ import annotations

import contextlib
import io
import signal
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from time import perf_counter
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule
from torch.utils._pytree import tree_leaves

from benchmarks.localize.plant import Fault, Faulty
from benchmarks.localize.score import Said
from conformance.cases.span import Operator
from conformance.golden.spans import unlifted
from conformance.running.child import Job

MINIFIER = "torch accuracy minifier"
NET_MIN = "torch.fx net_min_base"
_SAME = 1e-5
LONGEST = 30  # seconds for each fault


def others(fault: Fault, job: Job, operators: Sequence[Operator]) -> Iterator[Said]:
    """What each says."""
    from conformance.running.pipeline import comparison_of

    torch.set_num_threads(1)
    program = comparison_of(job.case, job.system, job.weights).program
    numbers = {operator.name: operator.number for operator in operators}
    asks: dict[str, Callable[[Any, _Asked], list[str]]] = {
        MINIFIER: _minifier,
        f"{NET_MIN}, binary": partial(_net_min, "binary"),
        f"{NET_MIN}, sequential": partial(_net_min, "sequential"),
    }
    for name, ask in asks.items():
        asked = _Asked(fault)
        start = perf_counter()
        try:
            with _silence(), _time_limit(LONGEST), torch.no_grad():
                named = ask(program, asked)
        except Exception as error:  # noqa: BLE001 (of theirs, of any kind)
            failed = f"{type(error).__name__}: {error}".splitlines()[0][:200]
            yield Said(by=name, failed=failed, compiles=asked.compiles, seconds=perf_counter() - start)
            continue
        place = tuple(sorted(numbers[one] for one in named if one in numbers))
        yield Said(by=name, places=(place,) if place else (), compiles=asked.compiles, seconds=perf_counter() - start)


class _Asked:
    """Runs graphs with the fault, and counts them."""

    def __init__(self, fault: Fault) -> None:
        self.fault, self.compiles, self.calls = fault, 0, 0

    def wrong(self, graph: GraphModule, inputs: Sequence[Any]) -> bool:
        """Whether what it gives is not the same."""
        self.compiles += 1
        return not same(graph(*_cloned(inputs)), self.run(graph, inputs))

    def run(self, graph: GraphModule, inputs: Sequence[Any]) -> Any:
        self.calls += 1
        given = _cloned(inputs)
        return Faulty(graph, self.fault, given, self.calls).run(*given)


def same(expected: Any, found: Any) -> bool:
    """Whether all tensors are, to a relative L2 error of 1e-5: in their favour, as it is far above rounding and far
    below every planted fault. At their own tolerances, 1e-3, they miss some."""
    return all(_is_near(one, other) for one, other in zip(tree_leaves(expected), tree_leaves(found), strict=True))


def _is_near(expected: Any, found: Any) -> bool:
    if not isinstance(expected, Tensor) or not expected.is_floating_point():
        return True
    wrong = (expected.double() - found.double()).nan_to_num().norm()
    return bool(wrong <= _SAME * expected.double().nan_to_num().norm())


def _cloned(inputs: Sequence[Any]) -> list[Any]:
    return [x.clone() if isinstance(x, Tensor) else x for x in inputs]


def _minifier(program: Any, asked: _Asked) -> list[str]:
    """Delta debugging over the graph with all that it holds as inputs."""
    from torch._functorch.fx_minifier import minifier

    exported = program.exported
    held = {**exported.state_dict, **exported.constants}
    inputs = [
        held.get(spec.target, x)
        for spec, x in zip(exported.graph_signature.input_specs, _flat(exported, program.inputs), strict=True)
    ]
    small, _ = minifier(exported.graph_module, inputs, asked.wrong, dump_state=lambda *_: None)
    return [node.name for node in small.graph.nodes if node.op == "call_function"]


def _flat(exported: Any, inputs: Sequence[Tensor]) -> list[Any]:
    given = iter(inputs)
    return [next(given) if spec.kind.name == "USER_INPUT" else None for spec in exported.graph_signature.input_specs]


def _net_min(method: str, program: Any, asked: _Asked) -> list[str]:
    """Submodules that are run both ways: halved until they are small, of which the last value alone is compared, or
    operator by operator."""
    from torch.fx.passes.net_min_base import _MinimizerBase, _MinimizerSettingBase

    class Minimizer(_MinimizerBase):
        def run_a(self, mod: Any, inputs: Any, report_idx: int = -1) -> Any:
            return mod(*_cloned(inputs))

        def run_b(self, mod: Any, inputs: Any, report_idx: int = -1) -> Any:
            asked.compiles += 1
            return asked.run(mod, inputs)

    def compare(one: Any, other: Any, names: Any) -> tuple[float, bool]:
        return 0.0, same(one, other)

    graph = unlifted(program.exported)
    plain = GraphModule(graph, _without_codegen(graph))
    settings = _MinimizerSettingBase(traverse_method=method, find_all=False)
    return [node.name for node in Minimizer(plain, tuple(program.inputs), compare, settings).minimize()]


def _without_codegen(graph: GraphModule) -> torch.fx.Graph:
    found = torch.fx.Graph()
    found.output(found.graph_copy(graph.graph, {}))
    return found


@contextlib.contextmanager
def _time_limit(seconds: int) -> Iterator[None]:
    def end(*_: object) -> None:
        raise TimeoutError(f"no answer in {seconds} s")

    before: Any = signal.signal(signal.SIGALRM, end)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    nowhere = io.StringIO()
    with contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
        yield
