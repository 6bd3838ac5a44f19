"""OpenVINO on the CPU: an independent compiler, part of the healthy control group."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

from conformance.cases.outcome import Stage
from conformance.graphs.openvino import from_openvino
from conformance.registry import missing_packages
from conformance.targets.protocol import Compiled, Options

if TYPE_CHECKING:
    from torch import Tensor

    from conformance.program import Program


class OpenVino:
    """Computes in the case's own dtype: left alone, OpenVINO takes bfloat16 where the CPU has it."""

    name = "openvino"
    emulated = False
    hardware = ("cpu",)
    sdks: tuple[str, ...] = ()
    variables: dict[str, str] = {}
    precision = {"float32": "f32", "bfloat16": "bf16", "float16": "f16"}

    def missing(self) -> str | None:
        """What to install where openvino is not."""
        return missing_packages({"openvino": "openvino"}, self.name)

    def packages(self, hardware: str, sdk: str | None) -> dict[str, str]:
        """The installed openvino."""
        return {"openvino": version("openvino")}

    def compile(self, program: Program, options: Options) -> Compiled:
        """Convert the exported graph."""
        import openvino
        import torch
        from openvino.frontend.pytorch.fx_decoder import TorchFXPythonDecoder

        options.enter(Stage.CAPTURE)
        exported = program.exported
        options.enter(Stage.LOWER)
        decoder = TorchFXPythonDecoder.from_exported_program(exported)  # as convert_model does, and knows the scopes
        model = openvino.convert_model(decoder)
        options.lowered(from_openvino(model, decoder.pt_module.graph, program.paths))
        options.enter(Stage.COMPILE)
        settings = {
            "INFERENCE_PRECISION_HINT": self.precision[options.dtype],
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        }
        request = openvino.Core().compile_model(model, "CPU", settings).create_infer_request()

        def run(*inputs: Tensor) -> tuple[Tensor, ...]:
            results = request.infer([x.numpy() for x in inputs])
            return tuple(torch.from_numpy(results[i].copy()) for i in range(len(results)))

        return run
