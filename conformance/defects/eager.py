"""What torch-xla does with a program that torch.export cannot capture: told from one run of it on the CPU."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from conformance.defects.cpu_fallback import fate, read_there
from conformance.graphs.eager import scopes
from conformance.operators.parts import Dependent, tensors_in, written_down
from conformance.operators.table import Fate

if TYPE_CHECKING:
    from conformance.programs.program import Program

_TO_THE_HOST = ("tolist", "numpy", "__array__")  # no operators, and out of torch nevertheless


@dataclass(frozen=True)
class Met:
    """An operator that is not lowered: in which module, of what shape, and what becomes of it."""

    operator: str
    scope: str
    shape: tuple[int, ...]
    fate: Fate


def met(program: Program, functionalization: bool) -> list[Met]:
    """Every operator of a run that torch-xla refuses, or computes from what depends on an input; once for each module
    and shape. Raises what the program raises."""
    inputs = tuple(x.clone() for x in program.inputs)
    run = _Run(Dependent(inputs), functionalization)
    followed = scopes(program.module, run.enter, run.leave)
    with torch.no_grad(), followed, _Host(run), written_down(run.see, run.dependent):
        program.module(*inputs)
    return list(run.met)


class _Run:
    """What is met in a run, and in which module it is."""

    def __init__(self, dependent: Dependent, functionalization: bool) -> None:
        self.met: dict[Met, None] = {}
        self.dependent = dependent
        self._functionalization = functionalization
        self._scopes = [""]

    def see(self, func: Any, args: Any, kwargs: Any) -> None:
        """An operator is called."""
        found = fate(func, args, kwargs, self._functionalization)
        frozen = found is Fate.CPU and self.dependent.has(read_there(func, args, kwargs))
        if found is Fate.REFUSED or (found is not None and frozen):
            self.note(func._schema.name.partition("::")[2], tensors_in((args, kwargs)), found)

    def note(self, operator: str, given: list[Tensor], found: Fate) -> None:
        """Write an operator down that is not lowered."""
        self.met[Met(operator, self._scopes[-1], tuple(given[0].shape) if given else (), found)] = None

    def enter(self, scope: str, arguments: Any) -> None:
        """A module is called."""
        self._scopes.append(scope)

    def leave(self, output: Any) -> None:
        """It returns."""
        self._scopes.pop()


class _Host(TorchFunctionMode):
    """Sees what leaves torch for lists and numpy, which no operator does."""

    def __init__(self, run: _Run) -> None:
        super().__init__()
        self._run = run

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", "")
        if name in _TO_THE_HOST and self._run.dependent.has(given := tensors_in(args)):
            self._run.note(name, given, Fate.CPU)
        return func(*args, **(kwargs or {}))
