"""ONNX Runtime on the CPU: an independent compiler, part of the healthy control group, behind either exporter."""

from __future__ import annotations

import io
import re
from importlib.metadata import version
from typing import TYPE_CHECKING

from conformance.cases.outcome import Stage
from conformance.core.deferred import torch
from conformance.core.requirements import missing_packages
from conformance.graphs.onnx import from_onnx
from conformance.targets.base import BaseTarget
from conformance.targets.protocol import Compiled, Options, Unsupported

if TYPE_CHECKING:
    from onnx import ModelProto
    from torch import Tensor

    from conformance.programs.program import Program

_LACKING = re.compile(r"No ONNX function found for <OpOverload\(op='([\w.]+)'")
PACKAGES = ("onnxruntime", "onnx", "onnxscript")


class OnnxRuntime(BaseTarget):
    """Graph optimisations on, as users run it."""

    name = "onnxruntime"

    def missing(self) -> str | None:
        """What to install where onnxruntime, onnx or onnxscript is not."""
        return missing_packages(dict.fromkeys(PACKAGES, "onnxruntime"), self.name)

    def packages(self, hardware: str, sdk: str | None) -> dict[str, str]:
        """The installed versions."""
        return {name: version(name) for name in PACKAGES}

    def compile(self, program: Program, options: Options) -> Compiled:
        """The program to ONNX to a session."""
        import onnxruntime

        if options.dtype == "matmult-bf16":
            program = program.with_casts
        elif options.dtype not in ("float32", "float16"):
            raise Unsupported(f"no kernels on the CPU for {options.dtype}")
        options.enter(Stage.CAPTURE)
        model = self._export(program, options)
        options.lowered(lambda: from_onnx(model, program.paths))
        options.enter(Stage.COMPILE)
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = torch.get_num_threads()
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), settings, providers=["CPUExecutionProvider"]
        )
        names = [slot.name for slot in session.get_inputs()]

        def run(*inputs: Tensor) -> tuple[Tensor, ...]:
            feed = {name: x.numpy() for name, x in zip(names, inputs, strict=True)}
            return tuple(torch.from_numpy(array) for array in session.run(None, feed))

        return run

    def _export(self, program: Program, options: Options) -> ModelProto:
        """By way of the exported graph."""
        exported = program.exported
        options.enter(Stage.LOWER)
        try:
            onnx = torch.onnx.export(exported, dynamo=True, verbose=False)
        except torch.onnx.OnnxExporterError as error:
            if lacking := _LACKING.search(str(error)):
                raise Unsupported(f"torch.onnx has no {lacking[1]}") from None
            raise
        assert onnx is not None
        return onnx.model_proto


class OnnxRuntimeTorchScript(OnnxRuntime):
    """The older exporter, which most export scripts still use. It traces: what it cannot see it leaves out."""

    name = "onnxruntime-torchscript"

    def _export(self, program: Program, options: Options) -> ModelProto:
        """By way of torch.jit.trace, which the exporter calls itself."""
        import onnx

        options.enter(Stage.LOWER)
        file = io.BytesIO()
        torch.onnx.export(program.module, program.inputs, file, dynamo=False)  # type: ignore[arg-type]
        return onnx.load_from_string(file.getvalue())
