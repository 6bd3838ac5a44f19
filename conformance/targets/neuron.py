"""torch-neuronx up to 2.9, `torch_neuronx.trace`: inf2, trn1 and trn2, or their compiler alone on any x86 host.

https://awsdocs-neuron.readthedocs-hosted.com/en/latest/frameworks/torch/torch-neuronx/api-reference-guide/inference/
"""

from __future__ import annotations

import copy
import os
import shlex
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from conformance.cases.outcome import Stage
from conformance.core.deferred import torch
from conformance.host.advice import INDEX
from conformance.host.cores import host_cores
from conformance.host.facts import TorchNeuronx
from conformance.host.probe import installed_version
from conformance.host.sdk import COMPILER, FRAMEWORK, torch_neuronx_kind
from conformance.targets.artifacts import (
    artifact,
    artifact_key,
    hlo_file,
    keep_hlo,
    kept_if_it_fails,
    program_variables,
)
from conformance.targets.neuron_host import (
    LOGICAL_CORES,
    OnNeuron,
    missing_programs,
    on_core,
    other_torch,
    require_device,
)
from conformance.targets.neuronx_cc import LOG, MODEL_TYPES, WITHOUT_LNC, arguments, compiling
from conformance.targets.protocol import Compiled, NotRun, Options, Unsupported

if TYPE_CHECKING:
    from torch import Tensor

    from conformance.cases.case import Column
    from conformance.programs.program import Program

_PLATFORM = "NEURON_PLATFORM_TARGET_OVERRIDE"
_ARGUMENTS = ("O1", "O3", *MODEL_TYPES)
_SPLIT = 2  # NeuronCores that a case with data-parallel uses


@dataclass(frozen=True)
class CompileSettings:
    """What the settings of a case say."""

    optlevel: int
    model_type: str
    lnc: int
    compile_only: bool
    weights_outside: bool
    data_parallel: bool
    dynamic_batch: bool


class Neuron(OnNeuron):
    """Compiles with explicit arguments, saves, loads on the core that the process was given, and runs."""

    name = "neuron"
    hardware = ("inf2", "trn1", "trn2")
    variables = {"NEURON_RT_STOCHASTIC_ROUNDING_EN": "0"}
    settings: Mapping[str, str] = {
        "O1": "--optlevel 1 instead of 2",
        "O3": "--optlevel 3 instead of 2",
        **{name: f"--model-type {name} instead of generic" for name in MODEL_TYPES},
        **LOGICAL_CORES,
        "weights-outside": "inline_weights_to_neff=False: the weights are not in the NEFF",
        "data-parallel": f"torch_neuronx.DataParallel: compiled for a part of the batch, on {_SPLIT} cores",
        "dynamic-batch": "torch_neuronx.dynamic_batch: compiled for one image",
        "compile-only": "cpu_backend=True: compiled, and nothing is run",
    }

    def missing(self) -> str | None:
        """What to install where there is no torch-neuronx that traces."""
        framework, compiler = installed_version(FRAMEWORK), installed_version(COMPILER)
        if framework is None or compiler is None:
            absent = FRAMEWORK if framework is None else COMPILER
            return f"neuron needs {absent}: pip install --extra-index-url {INDEX} 'neuronx-cc' 'torch-neuronx==2.9.*'"
        if torch_neuronx_kind(framework) is not TorchNeuronx.XLA:
            return f"neuron needs the torch-neuronx that traces, 2.9 or older; {framework} is installed"
        return other_torch(framework) or missing_programs(COMPILER, "libneuronpjrt-path")

    def cores(self, settings: tuple[str, ...]) -> int:
        """How many NeuronCores a case with these settings needs."""
        if "compile-only" in settings:
            return 0
        return _SPLIT if "data-parallel" in settings else 1

    def conditions(self, column: Column, dtype: str) -> dict[str, str]:
        """Those of the host, the compiler's arguments, and variables that change what it is given."""
        found = super().conditions(column, dtype) | program_variables()
        with suppress(Unsupported):
            found["compiler arguments"] = " ".join(
                _flags(column.hardware, dtype, _settings(column.hardware, column.settings))
            )
        return found

    def snippet(self, column: Column, dtype: str) -> str:
        """The compiler's arguments, and what the runtime is to be told."""
        flags = _flags(column.hardware, dtype, _settings(column.hardware, column.settings))
        shell = [f"export {name}={value}" for name, value in self.process(column.settings).items()]
        others = [name for name in column.settings if name not in _ARGUMENTS and name not in LOGICAL_CORES]
        return "\n".join(
            [
                *shell,
                f"traced = torch_neuronx.trace(model, inputs, compiler_args={shlex.join(flags)!r})",
                *(f"# {name}: {self.settings[name]}" for name in others),
            ]
        )

    def compile(self, program: Program, options: Options) -> Compiled:
        """Trace and save, or take what was compiled before; load and place."""
        settings = _settings(options.hardware, options.settings)
        if not settings.compile_only:
            require_device(options.hardware, "; --compile-only needs no device")
        options.enter(Stage.CAPTURE)
        if settings.compile_only and host_cores().trouble:
            os.environ[_PLATFORM] = options.hardware  # read on import, where no device says it: optimum-neuron#961
        import torch_neuronx  # noqa: F401 (it sets variables that say how programs are lowered, and are in their key)

        flags = _flags(options.hardware, options.dtype, settings)
        program = _for_one_core(program, settings)
        recipe = {
            "arguments": flags,
            "packages": self.packages(options.hardware, options.sdk),
            "weights outside": settings.weights_outside,
        }
        with on_core(), TemporaryDirectory(prefix="conformance-neuron-") as name:
            folder, key = Path(name), artifact_key(program, recipe)
            if key is not None and not (settings.data_parallel or settings.dynamic_batch):  # which compile a part
                options.handed(hlo_file(key))
            try:
                with kept_if_it_fails(key, folder, recipe):
                    path = artifact(key, folder, lambda path: _trace(program, path, flags, settings, options, folder))
            finally:
                keep_hlo(key, folder)
            if settings.compile_only:
                raise NotRun(f"compiled for {options.hardware}, as asked; nothing was run")
            options.enter(Stage.LOAD)
            return _load(path, settings)


def _settings(hardware: str, settings: tuple[str, ...]) -> CompileSettings:
    """Raises Unsupported for settings that exclude each other."""
    asked = set(settings)
    for both in ({"O1", "O3"}, set(MODEL_TYPES), {"lnc1", "lnc2"}, {"data-parallel", "dynamic-batch"}):
        if both <= asked:
            raise Unsupported(f"{' and '.join(sorted(both))} exclude each other")
    if asked & {"lnc1", "lnc2"} and hardware in WITHOUT_LNC:
        raise Unsupported(f"{hardware} has no logical NeuronCores of more than one")
    default = 1 if hardware in WITHOUT_LNC else (host_cores().lnc if host_cores().indices else 2)
    return CompileSettings(
        optlevel=1 if "O1" in asked else 3 if "O3" in asked else 2,
        model_type=next((name for name in MODEL_TYPES if name in asked), "generic"),
        lnc=1 if "lnc1" in asked else 2 if "lnc2" in asked else default,
        compile_only="compile-only" in asked,
        weights_outside="weights-outside" in asked,
        data_parallel="data-parallel" in asked,
        dynamic_batch="dynamic-batch" in asked,
    )


def _flags(hardware: str, dtype: str, settings: CompileSettings) -> list[str]:
    """The compiler's arguments."""
    compiler = str(installed_version(COMPILER))
    return arguments(hardware, dtype, settings.optlevel, settings.lnc, compiler, settings.model_type)


def _for_one_core(program: Program, settings: CompileSettings) -> Program:
    """The program for the images that one core gets at a time. Raises Unsupported where they cannot be parted."""
    if not (settings.data_parallel or settings.dynamic_batch):
        return program
    batches = {len(x) for x in program.inputs}
    count = max(batches)
    parts = count if settings.dynamic_batch else _SPLIT
    if len(batches) > 1 or count % parts:
        raise Unsupported(f"a batch of {count} cannot be parted evenly among {_SPLIT} NeuronCores")
    return type(program)(program.module, tuple(x[: count // parts] for x in program.inputs))


def _trace(
    program: Program, path: Path, flags: list[str], settings: CompileSettings, options: Options, folder: Path
) -> None:
    """Trace, compile and save."""
    import torch_neuronx

    options.enter(Stage.LOWER)
    with compiling(folder, options.enter):
        traced = torch_neuronx.trace(
            copy.deepcopy(program.module),
            program.inputs,
            compiler_workdir=str(folder / "work"),
            compiler_args=[*flags, "--logfile", str(folder / LOG)],
            inline_weights_to_neff=not settings.weights_outside,
            cpu_backend=settings.compile_only,
        )
    options.enter(Stage.COMPILE)
    torch.jit.save(traced, str(path))


def _load(path: Path, settings: CompileSettings) -> Compiled:
    """On the first of the cores that are visible, or on all of them."""
    import torch_neuronx

    from conformance.programs.program import tensors

    loaded: Any = torch.jit.load(str(path))  # type: ignore[no-untyped-call]
    if settings.weights_outside:
        torch_neuronx.move_trace_to_device(loaded, 0)
    if settings.dynamic_batch:
        torch_neuronx.dynamic_batch(loaded)
    if settings.data_parallel:
        loaded = torch_neuronx.DataParallel(loaded, device_ids=list(range(_SPLIT)), set_dynamic_batching=False)

    def run(*inputs: Tensor) -> tuple[Tensor, ...]:
        with on_core():
            return tensors(loaded(*inputs))

    return run
