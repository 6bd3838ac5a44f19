"""NeuronCores have no complex numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from conformance.cases.outcome import Stage, Status
from conformance.core.deferred import torch
from conformance.defects.defect import Defect, Evidence, MinimalCase
from conformance.graphs.fx_match import calls, images

if TYPE_CHECKING:
    from torch import Tensor
    from torch.fx import Node


def is_complex(node: Node) -> bool:
    """Whether the node's value is complex."""
    value = node.meta.get("val")
    return isinstance(value, torch.Tensor) and value.is_complex()


def _spectrum(x: Tensor) -> Any:
    return torch.fft.rfft2(x).abs()


COMPLEX_NUMBERS = Defect(
    id="complex-numbers",
    title="complex numbers are refused (NCC_EVRF004)",
    known="The device has no complex types: no Fourier transform compiles. Keep real and imaginary part apart.",
    evidence=Evidence.REPORT,
    seen="the compiler's documented error codes of SDK 2.32; since which release is not said",
    links=("https://github.com/aws-neuron/aws-neuron-sdk/blob/81ce03ae/compiler/error-codes/EVRF004.rst",),
    packages={"neuronx-cc": ">=2.21"},
    trigger=is_complex,
    stage=Stage.COMPILE,
    error_code="NCC_EVRF004",
    workarounds=(),
    minimal_cases=(
        MinimalCase(
            name="spectrum",
            title="the size of a Fourier transform",
            build=lambda: calls(_spectrum),
            inputs=images(1, 3, 8, 8),
            batch=1,
            status=Status.ERROR,
            signature="NCC_EVRF004",
            workarounds=(),
        ),
    ),
)
