"""A forward pass on this CPU, operator by operator, and which of a model's parts each operator was called in."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import permutations
from typing import Any

import torch
from torch import nn
from torch.autograd.profiler_util import FunctionEvent
from torch.profiler import ProfilerActivity, profile, record_function
from torch.utils.flop_counter import FlopCounterMode

from conformance.core.errors import UserError
from conformance.partition.share import MeasuredPass, OperatorCost, Part
from conformance.programs.program import tensors

# Of each part, the paths of the modules that it is made of, in the order they run.
Paths = Mapping[str, tuple[str, ...]]
_RANGE = "part "


@torch.no_grad()
def measure(
    module: nn.Module, given: tuple[Any, ...], parts: Paths, model: str, where: str, runs: int = 3
) -> MeasuredPass:
    """The mean of some runs, after one that is not counted. Raises UserError where parts overlap."""
    _check_apart(parts)
    module(*given)
    with _ranges(module, parts), profile(activities=[ProfilerActivity.CPU]) as profiled:
        for _ in range(runs):
            module(*given)
    operators = _operators(profiled.events() or [], runs)
    with _traffic(module, parts) as (received, returned), FlopCounterMode(display=False) as counter:
        module(*given)
    flops = {path: sum(counts.values()) for path, counts in counter.get_flop_counts().items()}
    root = type(module).__name__
    found = (
        Part(name, sum(flops.get(f"{root}.{path}", 0) for path in paths), received[paths[0]], returned[paths[-1]])
        for name, paths in parts.items()
    )
    return MeasuredPass(model, where, tuple(operators), tuple(found), flops.get("Global", 0))


def _check_apart(parts: Paths) -> None:
    """No module may be in two parts, or be in another one: its operators would be counted twice."""
    for outer, path in permutations([path for paths in parts.values() for path in paths], 2):
        if f"{path}.".startswith(f"{outer}."):
            raise UserError(f"{path!r} is counted twice: {outer!r} is in a part, too")


def _operators(events: list[FunctionEvent], runs: int) -> Iterator[OperatorCost]:
    """The outermost operators, summed by name and part. Their times add up to the profiler's own `self` times."""
    calls: dict[tuple[str, str | None], int] = defaultdict(int)
    microseconds: dict[tuple[str, str | None], float] = defaultdict(float)
    for event in events:
        callers = [caller.name for caller in _callers(event)]
        if "::" in event.name and not any("::" in caller for caller in callers):
            part = next((name.removeprefix(_RANGE) for name in callers if name.startswith(_RANGE)), None)
            calls[event.name, part] += 1
            microseconds[event.name, part] += event.cpu_time_total
    for (name, part), count in calls.items():
        yield OperatorCost(name, part, count // runs, microseconds[name, part] / runs / 1000)


def _callers(event: FunctionEvent) -> Iterator[FunctionEvent]:
    caller = event.cpu_parent
    while caller is not None:
        yield caller
        caller = caller.cpu_parent


@contextmanager
def _ranges(module: nn.Module, parts: Paths) -> Iterator[None]:
    """A range of the profiler around every call of a part's modules."""
    spans = {path: record_function(_RANGE + name) for name, paths in parts.items() for path in paths}

    def before(path: str, _: object) -> None:
        spans[path].__enter__()  # type: ignore[no-untyped-call]

    def after(path: str, _: object) -> None:
        spans[path].__exit__(None, None, None)

    with _hooks(module, parts, before, after):
        yield


@contextmanager
def _traffic(module: nn.Module, parts: Paths) -> Iterator[tuple[Counter[str], Counter[str]]]:
    """Bytes that each of the parts' modules receives and returns, by path."""
    received, returned = Counter[str](), Counter[str]()

    def before(path: str, given: object) -> None:
        received[path] += sum(tensor.nbytes for tensor in tensors(given))

    def after(path: str, output: object) -> None:
        returned[path] += sum(tensor.nbytes for tensor in tensors(output))

    with _hooks(module, parts, before, after):
        yield received, returned


@contextmanager
def _hooks(
    module: nn.Module, parts: Paths, before: Callable[[str, object], None], after: Callable[[str, object], None]
) -> Iterator[None]:
    """Calls `before` with what each of the parts' modules is given, `after` with what it returns."""
    handles = []
    for path in (path for paths in parts.values() for path in paths):
        part = module.get_submodule(path)
        handles.append(part.register_forward_pre_hook(lambda _, given, path=path: before(path, given)))
        handles.append(part.register_forward_hook(lambda _, __, output, path=path: after(path, output)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
