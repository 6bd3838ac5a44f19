"""A stand-in for TorchNeuron (torch-neuronx 2.13), built to its documentation, on the CPU. For tests alone.

    https://awsdocs-neuron.readthedocs-hosted.com/en/latest/torch/compile/reference-torch-compile.html

`.to("neuron")` and `torch.compile(backend="neuron")` work; what the device cannot do is done on the CPU and only
counted. NEURON_DOUBLE_FALLBACK names such an operator, NEURON_DOUBLE_REFUSE one that the compiler refuses.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import single_tenant
import torch
from torch._dynamo.backends.registry import register_backend

__version__ = "2.13.3.0"
_executed: list[str] = []
_fallen: list[str] = []


def _staying(moves: Any) -> Any:
    """`to`, but for the device `neuron`: nothing is moved there, as there is none."""

    def to(self: Any, *where: Any, **how: Any) -> Any:
        if where[:1] != ("neuron",):
            return moves(self, *where, **how)
        if os.environ.get("NEURON_DOUBLE_DEVICE") != "trn2":
            raise RuntimeError("no Neuron device")
        single_tenant.take(*single_tenant.visible("0-3"))
        return self

    return to


for _class in (torch.Tensor, torch.nn.Module):
    _class.to = _staying(_class.to)  # type: ignore[attr-defined]


@register_backend
def neuron(graph: torch.fx.GraphModule, inputs: Any, **options: Any) -> Any:
    """The backend: counts what it runs."""
    called = [_name(node.target) for node in graph.graph.nodes if node.op in ("call_function", "call_method")]
    if (refused := os.environ.get("NEURON_DOUBLE_REFUSE")) in called:
        raise RuntimeError(f"neuronx-cc: [NCC_EVRF029] Operation {refused} is not supported.")
    Path(os.environ["TORCH_NEURONX_NEFF_CACHE_DIR"]).mkdir(parents=True, exist_ok=True)

    def run(*arguments: Any) -> Any:
        for name in called:
            (_fallen if name == os.environ.get("NEURON_DOUBLE_FALLBACK") else _executed).append(f"aten::{name}")
        return graph.forward(*arguments)

    return run


def _name(target: Any) -> str:
    return str(getattr(target, "__name__", target))


def clear_op_tracking() -> None:
    """Forget what was run."""
    _executed.clear()
    _fallen.clear()


def get_executed_ops() -> list[str]:
    """What was run on the device since."""
    return list(_executed)


def get_fallback_ops() -> list[str]:
    """What was run on the CPU since."""
    return list(_fallen)
