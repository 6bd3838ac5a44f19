"""TorchNeuron, the torch-neuronx from 2.13 on: the device `neuron`, `torch.compile(backend="neuron")`. trn2 and trn3.

https://awsdocs-neuron.readthedocs-hosted.com/en/latest/torch/compile/reference-torch-compile.html
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from conformance.cases.case import AUTO_CAST
from conformance.cases.outcome import Stage
from conformance.core.deferred import torch
from conformance.core.store import cache_folder, digest
from conformance.host.facts import TorchNeuronx
from conformance.host.probe import installed_version
from conformance.host.sdk import FRAMEWORK, torch_neuronx_kind
from conformance.targets.neuron_host import LOGICAL_CORES, OnNeuron, on_core, other_torch, require_device
from conformance.targets.protocol import Compiled, FellBack, Options, Unsupported

if TYPE_CHECKING:
    from torch import Tensor

    from conformance.programs.program import Program


class NeuronNative(OnNeuron):
    """What it cannot do on the device it does on the CPU, and does not say so: that is a status of its own here."""

    name = "neuron-native"
    hardware = ("trn2", "trn3")
    variables = {
        "NEURON_RT_STOCHASTIC_ROUNDING_EN": "0",
        "TORCH_NEURONX_DISABLE_FALLBACK_EXECUTION": "1",
        "TORCH_DEVICE_BACKEND_AUTOLOAD": "1",  # off in pytest's own processes: it might claim cores there
    }
    settings: Mapping[str, str] = {"eager": "operator by operator, without torch.compile", **LOGICAL_CORES}

    def missing(self) -> str | None:
        """What to install where there is no TorchNeuron."""
        found = installed_version(FRAMEWORK)
        if found is not None and torch_neuronx_kind(found) is TorchNeuronx.NATIVE:
            return other_torch(found)
        have = f"; {found} is the one that traces, for --target neuron" if found else ""
        return f"neuron-native needs torch-neuronx 2.13 or newer{have}"

    def cores(self, settings: tuple[str, ...]) -> int:
        """Every case needs a NeuronCore."""
        return 1

    def process(self, settings: tuple[str, ...]) -> dict[str, str]:
        """Those of the runtime, and where compiled programs are kept: by package versions, beside our own, so that
        what is not compiled again is known; TorchNeuron's own folder is a temporary one."""
        compiled = cache_folder() / "neff" / digest({"packages": self.packages("", None)})
        found = super().process(settings) | {"TORCH_NEURONX_NEFF_CACHE_DIR": str(compiled)}
        if "eager" in settings:
            found["TORCH_NEURONX_FALLBACK_ONLY_FOR_UNIMPLEMENTED_OPS"] = "1"
        return found

    def compile(self, program: Program, options: Options) -> Compiled:
        """Move the module, compile all of it at the first call."""
        if options.dtype in AUTO_CAST:
            raise Unsupported(f"no auto-cast, {options.dtype}")
        require_device(options.hardware, "")
        options.enter(Stage.CAPTURE)
        import torch_neuronx

        with on_core():
            module: Callable[..., tuple[Tensor, ...]] = copy.deepcopy(program.module).to("neuron")
        if "eager" not in options.settings:
            torch._dynamo.reset()  # or the eighth program of a process is no longer compiled
            module = torch.compile(module, backend="neuron", fullgraph=True, dynamic=False)

        def run(*inputs: Tensor) -> tuple[Tensor, ...]:
            torch_neuronx.clear_op_tracking()
            outputs = tuple(output.to("cpu") for output in module(*(x.to("neuron") for x in inputs)))
            if fallen := Counter(map(str, torch_neuronx.get_fallback_ops())):
                raise FellBack(", ".join(f"{name} ({count})" for name, count in fallen.most_common()))
            return outputs

        options.enter(Stage.COMPILE)
        run(*program.inputs)
        return run
