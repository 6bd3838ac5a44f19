"""torch-xla on the CPU: the real front end of torch-neuronx, what neuronx-cc would be handed."""

from __future__ import annotations

import atexit
import copy
import hashlib
import os
import re
import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conformance.cases.case import AUTO_CAST
from conformance.cases.outcome import Stage
from conformance.graphs.graph import Fallback, Graph
from conformance.graphs.lazy import traced
from conformance.targets.base import BaseTarget
from conformance.targets.passes import LIST, left_out
from conformance.targets.protocol import Compiled, Options, Unsupported

if TYPE_CHECKING:
    from torch import Tensor, nn

    from conformance.cases.case import Column
    from conformance.programs.program import Program


class Xla(BaseTarget):
    """Traced once, for the program's inputs, and run with others, as `torch_neuronx.trace` does it. Functionalization
    is off, as torch-neuronx sets it; the workaround `functionalization` switches it on."""

    name = "xla"
    needs = {"torch_xla": "xla"}
    variables = {"PJRT_DEVICE": "CPU", "XLA_DISABLE_FUNCTIONALIZATION": "1"}
    settings = {
        "opt0": "--xla_backend_optimization_level=0: LLVM optimises nothing",
        "no-expensive-passes": "--xla_llvm_disable_expensive_passes=true",
    }
    has_passes = True

    def packages(self, hardware: str, sdk: str | None) -> dict[str, str]:
        """The installed torch-xla: the front end, as on a Neuron host, and the CPU backend it brings along."""
        installed = version("torch-xla")
        return {"torch-xla": installed, "xla-cpu": installed}

    def process(self, settings: tuple[str, ...]) -> dict[str, str]:
        """XLA reads its flags once in a process."""
        flags = _flags(settings)
        if LIST in settings:
            flags += [f"--xla_dump_to={_dump_folder()}", "--xla_dump_hlo_pass_re=.*"]
            atexit.register(shutil.rmtree, _dump_folder(), ignore_errors=True)
        return {"XLA_FLAGS": " ".join([os.environ.get("XLA_FLAGS", ""), *flags]).strip()} if flags else {}

    def passes_left(self) -> list[str]:
        """By the files of a process that this one has asked for."""
        return _dumped(_dump_folder())

    def snippet(self, column: Column, dtype: str) -> str:
        """The flags, for the environment."""
        return f'export XLA_FLAGS="{" ".join(_flags(column.settings))}"'

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
        if LIST in options.settings:
            (folder,) = re.findall(r"--xla_dump_to=(\S+)", os.environ["XLA_FLAGS"])[-1:]
            options.passes(_dumped(Path(folder)))
        return run


def _flags(settings: tuple[str, ...]) -> list[str]:
    """XLA's own of these settings."""
    flags = [Xla.settings[name].partition(":")[0] for name in settings if name in Xla.settings]
    off = left_out(settings)
    return [*flags, f"--xla_disable_hlo_passes={','.join(off)}"] if off else flags


def _dump_folder() -> Path:
    """Where XLA writes what its passes make, of the process that is asked for it by the one that asks."""
    return Path(tempfile.gettempdir(), f"conformance-xla-passes-{os.getpid()}")


def _dumped(folder: Path) -> list[str]:
    """The passes that changed a program, and those that came next: it may be one of them that died. By the files that
    XLA has written, which are removed."""
    names = sorted(path.name for path in folder.glob("*.after_*.before_*.txt"))
    shutil.rmtree(folder, ignore_errors=True)
    found = dict.fromkeys(re.findall(r"(?<=\.after_)[\w-]+|(?<=\.before_)[\w-]+", "\n".join(names)))
    return [name for name in found if name not in ("pipeline-start", "pipeline-end")]


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
