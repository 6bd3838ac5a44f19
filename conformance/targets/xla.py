"""torch-xla on the CPU: the real front end of torch-neuronx, what neuronx-cc would be handed."""

from __future__ import annotations

import copy
import hashlib
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from conformance.cases.case import AUTO_CAST
from conformance.cases.outcome import Stage
from conformance.graphs.graph import Fallback, Graph
from conformance.graphs.lazy import traced
from conformance.targets.base import BaseTarget
from conformance.targets.protocol import Compiled, Options, Unsupported

if TYPE_CHECKING:
    from torch import Tensor, nn

    from conformance.programs.program import Program


class Xla(BaseTarget):
    """Traced once, for the program's inputs, and run with others, as `torch_neuronx.trace` does it. Functionalization
    is off, as torch-neuronx sets it; the workaround `functionalization` switches it on."""

    name = "xla"
    needs = {"torch_xla": "xla"}
    variables = {"PJRT_DEVICE": "CPU", "XLA_DISABLE_FUNCTIONALIZATION": "1"}

    def packages(self, hardware: str, sdk: str | None) -> dict[str, str]:
        """The installed torch-xla: the front end, as on a Neuron host, and the CPU backend it brings along."""
        installed = version("torch-xla")
        return {"torch-xla": installed, "xla-cpu": installed}

    def compile(self, program: Program, options: Options) -> Compiled:
        """Trace lazily, compile with XLA's CPU backend."""
        if options.dtype == "matmult-bf16":
            program = program.with_casts
        elif options.dtype in AUTO_CAST:
            raise Unsupported(f"no auto-cast, {options.dtype}")
        options.enter(Stage.CAPTURE)
        module, inputs = _placed(program)

        options.enter(Stage.LOWER)
        run, computed = _lowered(module, inputs)
        fallbacks: list[Fallback] = []

        def read() -> Graph:
            found = traced(module, inputs)
            fallbacks.extend(found.fallbacks)
            return found.graph

        options.lowered(read)
        seen = {name for one in fallbacks for name in one.computed}
        options.fell_back([*fallbacks, *(Fallback(name, "", (name,)) for name in computed if name not in seen)])
        options.enter(Stage.COMPILE)
        run(*program.inputs)
        return run


def hlo_text(program: Program) -> str | None:
    """The HLO of a program as a compiler would be handed it, as text; None where all of it is a constant."""
    import torch_xla

    module, inputs = _placed(program)
    outputs = [output for output in module(*inputs) if output.device.type == "xla"]
    if not outputs:
        return None
    context = torch_xla._XLAC.lowering.LoweringContext("conformance")
    context.build(outputs)
    return text_of(context.hlo())


def text_of(hlo: bytes) -> str:
    """The text of an HLO module. Raises RuntimeError where it is none."""
    import torch_xla.core.xla_builder

    builder = torch_xla.core.xla_builder
    text: str = builder.get_computation_hlo(builder.computation_from_module_proto("conformance", hlo))
    return text


def _placed(program: Program) -> tuple[nn.Module, tuple[Tensor, ...]]:
    """A copy of the module and the inputs on the XLA device. Only what is computed is a parameter of the program that
    is traced, and no part of it."""
    import torch_xla

    device = torch_xla.device()
    module = copy.deepcopy(program.module).to(device)
    inputs = tuple(x.to(device) for x in program.inputs)
    torch_xla.sync(wait=True)
    return module, inputs


def _lowered(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Compiled, list[str]]:
    """The program that is traced for these inputs, and the operators that torch-xla left to the CPU meanwhile. What
    these gave, and outputs that are on the CPU, are constants of it."""
    import torch_xla.core.xla_builder
    import torch_xla.debug.metrics

    metrics, device = torch_xla.debug.metrics, torch_xla.device()
    metrics.clear_counters()
    outputs = module(*(x.clone() for x in inputs))  # it may write into what it is given
    computed: list[str] = metrics.executed_fallback_ops()
    constants = [None if output.device.type == "xla" else output for output in outputs]
    if None not in constants:
        return lambda *_: outputs, computed
    context = torch_xla._XLAC.lowering.LoweringContext("conformance")
    context.build([output for output in outputs if output.device.type == "xla"])
    index_of = {context.tensor_parameter_id(x): index for index, x in enumerate(inputs)}
    held = context.parameter_id_tensor_mapping()
    parameters = [(index_of.get(number), held[number].to(device)) for number in sorted(held)]
    hlo = context.hlo()
    name = hashlib.sha256(hlo).hexdigest()[:16]
    computation: Any = torch_xla.core.xla_builder.computation_from_module_proto(name, hlo)

    def run(*given: Tensor) -> tuple[Tensor, ...]:
        there = [x.to(device) for x in given]
        arguments = [own if index is None else there[index] for index, own in parameters]
        found = iter(torch_xla._XLAC._xla_user_computation(f"xla::{name}", arguments, computation))
        answers = [next(found) if constant is None else constant for constant in constants]
        torch_xla.sync(wait=True)
        return tuple(answer.cpu() for answer in answers)

    return run, computed
