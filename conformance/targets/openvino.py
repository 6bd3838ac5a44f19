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

    from conformance.programs.program import Program

_LACKING = re.compile(r"No conversion rule found for operations: ([\w.]+(?:, [\w.]+)*)")
_CAPABILITIES = {"bfloat16": "BF16", "float16": "FP16", "all-bf16": "BF16"}  # else it takes what the CPU has


class OpenVino(BaseTarget):
    """Computes in the case's own dtype: left alone, OpenVINO takes bfloat16 where the CPU has it, as it is asked to
    for `all-bf16`."""

    name = "openvino"
    needs = {"openvino": "openvino"}
    precision = {"float32": "f32", "bfloat16": "bf16", "float16": "f16", "all-bf16": "bf16"}

    def packages(self, hardware: str, sdk: str | None) -> dict[str, str]:
        """The installed openvino and, by the name of `openvino-avx512`, its kernels for such CPUs on one of them."""
        installed = version("openvino")
        return {"openvino": installed} | ({"openvino-avx512": installed} if has_avx512() else {})

    def compile(self, program: Program, options: Options) -> Compiled:
        """Convert the exported graph."""
        sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # a process for all it reports home
        import openvino.frontend
        from openvino.frontend.pytorch.fx_decoder import TorchFXPythonDecoder

        if options.dtype not in self.precision:
            raise Unsupported(f"no auto-cast of products alone, {options.dtype}")
        core, needed = openvino.Core(), _CAPABILITIES.get(options.dtype)
        if needed and needed not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise Unsupported(f"this CPU has no {needed}, and another precision would take its place")
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
        options.enter(Stage.COMPILE)
        settings = {
            "INFERENCE_PRECISION_HINT": self.precision[options.dtype],
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        }
        request = core.compile_model(model, "CPU", settings).create_infer_request()

        def run(weights: object, *inputs: Tensor) -> tuple[Tensor, ...]:
            request.infer([_to_openvino(x) for x in inputs])
            return tuple(_to_torch(output) for output in request.output_tensors)

        return partial(run, decoder)  # what is compiled reads its bfloat16 weights, and does not own them


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
