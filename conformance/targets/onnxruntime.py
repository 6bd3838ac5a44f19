"""ONNX Runtime on the CPU: an independent compiler, part of the healthy control group, behind either exporter."""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

from conformance.cases.outcome import Stage
from conformance.core.deferred import torch
from conformance.core.requirements import missing_packages
from conformance.graphs.onnx import from_onnx
from conformance.targets.base import BaseTarget
from conformance.targets.passes import LIST, left_out
from conformance.targets.protocol import Compiled, Options, Unsupported

if TYPE_CHECKING:
    from onnx import ModelProto
    from torch import Tensor

    from conformance.cases.case import Column
    from conformance.programs.program import Program

_LACKING = re.compile(r"No ONNX function found for <OpOverload\(op='([\w.]+)'")
_APPLIED = re.compile(r"GraphTransformer (\w+) modified: [01]")
_CHANGED = re.compile(r"GraphTransformer (\w+) modified: 1")
_RULES = re.compile(r"Level\d_RuleBasedTransformer")
# The rules that such a transformer applies: the log does not name those that did something.
_NAMES_OF_RULES = (
    "CastChainElimination",
    "CastElimination",
    "ClipQuantFusion",
    "ConvAddFusion",
    "ConvBNFusion",
    "ConvMulFusion",
    "DivMulFusion",
    "EliminateDropout",
    "EliminateIdentity",
    "EliminateSlice",
    "ExpandElimination",
    "FuseReluClip",
    "GemmSumFusion",
    "GemmTransposeFusion",
    "LabelEncoderFusion",
    "MatmulBNFusion",
    "NoopElimination",
    "NotWhereFusion",
    "PadFusion",
    "PreShapeNodeElimination",
    "ReluQuantFusion",
    "UnsqueezeElimination",
)
_LEVELS = {"opt-disable": "ORT_DISABLE_ALL", "opt-basic": "ORT_ENABLE_BASIC", "opt-extended": "ORT_ENABLE_EXTENDED"}
PACKAGES = ("onnxruntime", "onnx", "onnxscript")


class OnnxRuntime(BaseTarget):
    """Graph optimisations on, as users run it."""

    name = "onnxruntime"
    settings = {name: f"graph_optimization_level = {level}" for name, level in _LEVELS.items()}
    has_passes = True

    def missing(self) -> str | None:
        """What to install where onnxruntime, onnx or onnxscript is not."""
        return missing_packages(dict.fromkeys(PACKAGES, "onnxruntime"), self.name)

    def packages(self, hardware: str, sdk: str | None) -> dict[str, str]:
        """The installed versions."""
        return {name: version(name) for name in PACKAGES}

    def snippet(self, column: Column, dtype: str) -> str:
        """How the session is made."""
        level = [
            f"options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.{_LEVELS[name]}"
            for name in column.settings
            if name in _LEVELS
        ]
        made = 'session = onnxruntime.InferenceSession("model.onnx", options'
        passes = f", disabled_optimizers={off}" if (off := left_out(column.settings)) else ""
        return "\n".join(["options = onnxruntime.SessionOptions()", *level, f"{made}{passes})"])

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
        for name in options.settings:
            if name in _LEVELS:
                settings.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, _LEVELS[name])
        settings.log_severity_level = 0 if LIST in options.settings else settings.log_severity_level
        with _passes_told(options):
            session = onnxruntime.InferenceSession(
                model.SerializeToString(),
                settings,
                providers=["CPUExecutionProvider"],
                disabled_optimizers=left_out(options.settings),
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


@contextmanager
def _passes_told(options: Options) -> Iterator[None]:
    """While a session is made: tells the optimisers that changed the graph, or all that there are where one of them
    has failed, by what ONNX Runtime logs to stderr; rules in the place of those that apply them."""
    if LIST not in options.settings:
        yield
        return
    sys.stderr.flush()
    kept, pattern = os.dup(2), _APPLIED
    with TemporaryFile("w+", errors="replace") as log:
        os.dup2(log.fileno(), 2)
        try:
            yield
            pattern = _CHANGED
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            log.seek(0)
            found = dict.fromkeys(pattern.findall(log.read()))
            rules = _NAMES_OF_RULES if any(map(_RULES.match, found)) else ()
            options.passes([*(name for name in found if not _RULES.match(name)), *rules])


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
