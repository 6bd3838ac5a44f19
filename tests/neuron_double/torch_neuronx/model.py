"""The compiled module, and what can be done with it."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

import single_tenant
import torch
from torch import Tensor, nn

from torch_neuronx.runtime import require_device, require_lnc, visible_cores

_off: list[Interface] = []


@dataclass(frozen=True)
class Interface:
    """What goes in and comes out: shapes and types. `order` says which tensor, of inputs and weights behind them, is
    the program's n-th parameter; `single`: one tensor comes out, not a tuple."""

    inputs: list[tuple[list[int], str]]
    outputs: list[tuple[list[int], str]]
    order: list[int]
    single: bool


@contextmanager
def runtime_off(interface: Interface) -> Iterator[None]:
    """While a module is packed nothing is run: outputs of the right shapes are given."""
    _off.append(interface)
    try:
        yield
    finally:
        _off.pop()


def _bytes(data: bytes) -> Tensor:
    return torch.frombuffer(bytearray(data), dtype=torch.uint8)


class NeuronModule(nn.Module):
    """One fused operator, with what it runs and the weights as buffers."""

    def __init__(self, neff: bytes, interface: Interface, weights: list[Tensor]) -> None:
        super().__init__()
        self.register_buffer("neff", _bytes(neff))
        self.register_buffer("interface", _bytes(json.dumps(asdict(interface)).encode()))
        self.count, self.single = len(weights), interface.single
        for number, weight in enumerate(weights):
            self.register_buffer(f"weight{number}", weight)
        self.register_buffer("batches", torch.zeros((), dtype=torch.int64))

    def forward(self, *inputs: Tensor) -> Any:
        weights = [getattr(self, f"weight{number}") for number in range(self.count)]
        found = torch.ops.neuron.forward_v2(list(inputs), weights, self.neff, self.interface, self.batches)
        return found[0] if self.single else tuple(found)


_library = torch.library.Library("neuron", "DEF")
_library.define(
    "forward_v2(Tensor[] inputs, Tensor[] weights, Tensor neff, Tensor interface, Tensor batches) -> Tensor[]"
)


def _forward(
    inputs: list[Tensor], weights: list[Tensor], neff: Tensor, interface: Tensor, batches: Tensor
) -> list[Tensor]:
    if _off:
        return [torch.zeros(shape, dtype=getattr(torch, dtype[6:])) for shape, dtype in _off[-1].outputs]
    require_device()
    made = Interface(**json.loads(bytes(interface.tolist())))
    if not int(batches):
        return _run(inputs, weights, bytes(neff.tolist()), made)
    size, count = made.inputs[0][0][0], len(inputs[0])
    if count % size:
        raise RuntimeError("the double pads no batch")
    parts = [
        _run([x[i : i + size] for x in inputs], weights, bytes(neff.tolist()), made) for i in range(0, count, size)
    ]
    return [torch.cat(outputs) for outputs in zip(*parts, strict=True)]


_library.impl("forward_v2", _forward, "CompositeExplicitAutograd")


def _run(inputs: list[Tensor], weights: list[Tensor], neff: bytes, interface: Interface) -> list[Tensor]:
    import torch_xla

    given = [(list(x.shape), str(x.dtype)) for x in inputs]
    expected = [(list(shape), dtype) for shape, dtype in interface.inputs]
    if given != expected:
        raise RuntimeError(f"Incompatible input tensors: {given} instead of {expected}")
    if any(x.device.type != "cpu" for x in inputs):
        raise RuntimeError("a traced module takes tensors of the CPU")
    head, _, hlo = neff.partition(b"\n")
    require_lnc(json.loads(head)["lnc"])
    tensors, device = [*inputs, *weights], torch_xla.device()
    parameters = [tensors[place].to(device) for place in interface.order]
    found = torch_xla._XLAC._xla_user_computation(f"xla::{_name(hlo)}", parameters, _computation(hlo))
    torch_xla.sync(wait=True)
    single_tenant.ran()
    return [output.cpu() for output in found]


def _name(hlo: bytes) -> str:
    return hashlib.sha256(hlo).hexdigest()[:16]


@cache
def _computation(hlo: bytes) -> Any:
    from torch_xla.core import xla_builder

    return xla_builder.computation_from_module_proto(_name(hlo), hlo)


def dynamic_batch(neuron_script: torch.jit.ScriptModule) -> None:
    """Let a module take any multiple of the batch it was traced for. In place."""
    neuron_script.batches.fill_(1)


def move_trace_to_device(trace: torch.jit.ScriptModule, device_id: int) -> None:
    """Put a module and its weights on a core. In place."""
    if device_id not in range(visible_cores()):
        raise RuntimeError(f"NeuronCore {device_id} is not visible")


class DataParallel(nn.Module):
    """A module on several cores, each of which gets a part of the batch."""

    def __init__(
        self,
        model: torch.jit.ScriptModule,
        device_ids: list[int] | None = None,
        dim: int = 0,
        set_dynamic_batching: bool = True,
    ) -> None:
        super().__init__()
        self.device_ids = list(range(visible_cores())) if device_ids is None else device_ids
        if set(self.device_ids) - set(range(visible_cores())):
            raise RuntimeError(f"device_ids {self.device_ids} are not all visible")
        self.model, self.dim = model, dim
        if set_dynamic_batching:
            if dim:
                warnings.warn("dynamic batching needs dim=0", UserWarning, stacklevel=2)
            else:
                dynamic_batch(model)

    def disable_dynamic_batching(self) -> None:
        """Take only batches that are the traced one for each core."""
        self.model.batches.fill_(0)

    def forward(self, *inputs: Tensor) -> Any:
        count = len(self.device_ids)
        if inputs[0].shape[self.dim] % count:
            raise RuntimeError(f"a batch of {inputs[0].shape[self.dim]} on {count} cores")
        parts = [self.model(*part) for part in zip(*(x.chunk(count, self.dim) for x in inputs), strict=True)]
        if isinstance(parts[0], Tensor):
            return torch.cat(parts, self.dim)
        return tuple(torch.cat(outputs, self.dim) for outputs in zip(*parts, strict=True))
