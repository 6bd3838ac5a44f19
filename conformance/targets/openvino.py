"""OpenVINO on the CPU: an independent compiler, part of the healthy control group."""

from __future__ import annotations

import re
import sys
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from conformance.cases.outcome import Stage
from conformance.core.deferred import torch
from conformance.graphs.openvino import from_openvino
from conformance.host.machine import has_avx512
from conformance.targets.base import BaseTarget
from conformance.targets.protocol import Compiled, Options, Unsupported

if TYPE_CHECKING:
    from torch import Tensor

    from conformance.cases.case import Column
    from conformance.programs.program import Program

_LACKING = re.compile(r"No conversion rule found for operations: ([\w.]+(?:, [\w.]+)*)")
_SWITCHES = {"no-snippets": {"SNIPPETS_MODE": "DISABLE"}, "accuracy": {"EXECUTION_MODE_HINT": "ACCURACY"}}
_KERNELS = {"sse41": "SSE41", "avx2": "AVX2"}
_TRACED = "torchscript"
_CAPABILITIES = {"bfloat16": "BF16", "float16": "FP16", "all-bf16": "BF16"}  # else it takes what the CPU has


class OpenVino(BaseTarget):
    """Computes in the case's own dtype: left alone, OpenVINO takes bfloat16 where the CPU has it, as it is asked to
    for `all-bf16`."""

    name = "openvino"
    needs = {"openvino": "openvino"}
    settings = {
        _TRACED: "convert_model of torch.jit.trace instead of torch.export",
        "no-snippets": "SNIPPETS_MODE=DISABLE: no code made for subgraphs of elementwise operators",
        "accuracy": "EXECUTION_MODE_HINT=ACCURACY",
        **{name: f"ONEDNN_MAX_CPU_ISA={isa}: no kernels for newer CPUs" for name, isa in _KERNELS.items()},
    }
    precision = {"float32": "f32", "bfloat16": "bf16", "float16": "f16", "all-bf16": "bf16"}

    def packages(self, hardware: str, sdk: str | None) -> dict[str, str]:
        """The installed openvino and, by the name of `openvino-avx512`, its kernels for such CPUs on one of them."""
        installed = version("openvino")
        return {"openvino": installed} | ({"openvino-avx512": installed} if has_avx512() else {})

    def process(self, settings: tuple[str, ...]) -> dict[str, str]:
        """The instructions that oneDNN may use."""
        oldest = next((isa for name, isa in _KERNELS.items() if name in settings), None)
        return {"ONEDNN_MAX_CPU_ISA": oldest} if oldest else {}

    def snippet(self, column: Column, dtype: str) -> str:
        """The switches of compile_model, and the environment."""
        shell = [f"export {name}={value}" for name, value in self.process(column.settings).items()]
        switches = _switches(column.settings)
        python = [f'compiled = openvino.Core().compile_model(model, "CPU", {switches})'] if switches else []
        if _TRACED in column.settings:
            python.insert(0, "model = openvino.convert_model(torch.jit.trace(model, inputs), example_input=inputs)")
        return "\n".join(shell + python)

    def compile(self, program: Program, options: Options) -> Compiled:
        """Convert the exported graph."""
        sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # a process for all it reports home
        import openvino

        if options.dtype not in self.precision:
            raise Unsupported(f"no auto-cast of products alone, {options.dtype}")
        core, needed = openvino.Core(), _CAPABILITIES.get(options.dtype)
        if needed and needed not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise Unsupported(f"this CPU has no {needed}, and another precision would take its place")
        model, decoder = _traced(program, options) if _TRACED in options.settings else _exported(program, options)
        options.enter(Stage.COMPILE)
        settings = {
            "INFERENCE_PRECISION_HINT": self.precision[options.dtype],
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            **_switches(options.settings),
        }
        request = core.compile_model(model, "CPU", settings).create_infer_request()

        def run(weights: object, *inputs: Tensor) -> tuple[Tensor, ...]:
            request.infer([_to_openvino(x) for x in inputs])
            return tuple(_to_torch(output) for output in request.output_tensors)

        return partial(run, decoder)  # what is compiled reads its bfloat16 weights, and does not own them


def _exported(program: Program, options: Options) -> tuple[Any, Any]:
    """The model, and what holds its weights, by way of the exported graph."""
    import openvino.frontend
    from openvino.frontend.pytorch.fx_decoder import TorchFXPythonDecoder

    options.enter(Stage.CAPTURE)
    exported = program.exported
    options.enter(Stage.LOWER)
    decoder = TorchFXPythonDecoder.from_exported_program(exported)  # as convert_model does, and knows the scopes
    try:
        model = openvino.convert_model(decoder)
    except openvino.frontend.OpConversionFailure as error:
        if lacking := _LACKING.search(str(error)):
            raise Unsupported(f"its front end has no {lacking[1]}") from None
        raise
    options.lowered(lambda: from_openvino(model, decoder.pt_module.graph, program.paths))
    return model, decoder


def _traced(program: Program, options: Options) -> tuple[Any, Any]:
    """The same by way of torch.jit.trace, of which no graph is shown."""
    import openvino

    options.enter(Stage.CAPTURE)
    traced = torch.jit.trace(program.module, program.inputs, check_trace=False)  # type: ignore[no-untyped-call]
    options.enter(Stage.LOWER)
    return openvino.convert_model(traced, example_input=program.inputs), traced


def _switches(settings: tuple[str, ...]) -> dict[str, str]:
    return {key: value for name in settings for key, value in _SWITCHES.get(name, {}).items()}


def _to_openvino(x: Tensor) -> Any:
    """numpy has no bfloat16: its bits go over as integers."""
    import openvino

    if x.dtype != torch.bfloat16:
        return openvino.Tensor(x.contiguous().numpy())
    return openvino.Tensor(x.contiguous().view(torch.int16).numpy(), list(x.shape), openvino.Type.bf16)


def _to_torch(output: Any) -> Tensor:
    """A copy: the next call writes into the same memory."""
    import openvino

    if output.element_type != openvino.Type.bf16:
        return torch.from_numpy(output.data.copy())
    return torch.from_numpy(output.data.view("int16").copy()).view(torch.bfloat16)
