"""torch-xla on the CPU: the real front end of torch-neuronx, what neuronx-cc would be handed."""

from __future__ import annotations

import copy
from importlib.metadata import version
from itertools import count
from typing import TYPE_CHECKING

from conformance.cases.case import AUTO_CAST
from conformance.cases.outcome import Stage
from conformance.graphs.lazy import traced
from conformance.registry import missing_packages
from conformance.targets.protocol import Compiled, Options, Unsupported

if TYPE_CHECKING:
    from torch import Tensor

    from conformance.program import Program


_NUMBERS = count(1)  # of the programs of this process


class Xla:
    """Functionalization is off, as torch-neuronx sets it; the workaround `functionalization` switches it on."""

    name = "xla"
    emulated = False
    hardware = ("cpu",)
    sdks: tuple[str, ...] = ()
    variables = {"PJRT_DEVICE": "CPU", "XLA_DISABLE_FUNCTIONALIZATION": "1"}

    def missing(self) -> str | None:
        """What to install where torch-xla is not."""
        return missing_packages({"torch_xla": "xla"}, self.name)

    def packages(self, hardware: str, sdk: str | None) -> dict[str, str]:
        """The installed torch-xla: the front end, as on a Neuron host, and the CPU backend it brings along."""
        installed = version("torch-xla")
        return {"torch-xla": installed, "xla-cpu": installed}

    def compile(self, program: Program, options: Options) -> Compiled:
        """Trace lazily, compile with XLA's CPU backend."""
        import torch
        import torch_xla

        if options.dtype == "matmult-bf16":
            program = program.with_casts
        elif options.dtype in AUTO_CAST:
            raise Unsupported(f"no auto-cast, {options.dtype}")
        options.enter(Stage.CAPTURE)
        device = torch_xla.device()
        module = copy.deepcopy(program.module).to(device)
        number = next(_NUMBERS)

        def called(inputs: tuple[Tensor, ...]) -> tuple[tuple[Tensor, ...], Tensor]:
            """The outputs, and a tensor of a shape of its own: torch-xla takes programs that differ only in which of
            two inputs of one shape is read where for the same, and runs the one it met first (pytorch/xla#8353)."""
            return module(*(x.to(device) for x in inputs)), torch.zeros(number, device=device)

        def run(*inputs: Tensor) -> tuple[Tensor, ...]:
            lazy, _own = called(inputs)
            torch_xla.sync()
            return tuple(output.cpu() for output in lazy)

        options.enter(Stage.LOWER)
        options.lowered(traced(module, tuple(x.to(device) for x in program.inputs)))
        compiled = called(program.inputs)
        options.enter(Stage.COMPILE)
        torch_xla.sync(wait=True)
        del compiled
        return run
