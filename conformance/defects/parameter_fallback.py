"""torch-neuronx dies where an operator without a lowering is applied to a parameter alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.cases.outcome import Stage, Status
from conformance.core.deferred import nn, torch
from conformance.defects.cpu_fallback import left_to_the_cpu, of_parameters_alone
from conformance.defects.defect import Defect, Evidence, MinimalCase
from conformance.graphs.fx_match import images

if TYPE_CHECKING:
    from torch import Tensor
    from torch.fx import Node


def falls_back_on_a_parameter(node: Node) -> bool:
    """Whether the node is such an operator, and what it is applied to comes from no input."""
    return left_to_the_cpu(node) and of_parameters_alone(node)


def _embeddings() -> nn.Module:
    class Embeddings(nn.Module):
        """Position embeddings for another size of image."""

        def __init__(self) -> None:
            super().__init__()
            table = torch.rand(1, 4, 6, 6, generator=torch.Generator().manual_seed(0))
            self.positions = nn.Parameter(table)

        def forward(self, x: Tensor) -> Tensor:
            return x + nn.functional.interpolate(self.positions, x.shape[2:], mode="bicubic")

    return Embeddings()


PARAMETER_FALLBACK = Defect(
    id="parameter-fallback",
    title="bicubic resizing of position embeddings kills the process that traces",
    known=(
        "An operator that torch-xla leaves to the CPU, applied to a parameter and to no input, meets a buffer that "
        "is not there yet: SIGSEGV or SIGABRT. upsample_bicubic2d of position embeddings (YOLOS, ViT), im2col, "
        "weight norm. torch-neuronx 2.8 is right. Compute what depends on parameters alone before tracing."
    ),
    evidence=Evidence.TRANSCRIPT,
    seen="aws-neuron-sdk#1265: exit codes 139 and 134, SDK 2.27 to 2.31; not seen with torch-xla alone",
    links=(
        "https://github.com/aws-neuron/aws-neuron-sdk/issues/1265",
        "https://github.com/huggingface/optimum-neuron/pull/1119",
    ),
    packages={"torch-neuronx": ">=2.9.0.2.11,<2.10"},  # beyond, it is another library
    trigger=falls_back_on_a_parameter,
    stage=Stage.LOWER,
    error_code="SIGSEGV",
    workarounds=("resize",),
    minimal_cases=(
        MinimalCase(
            name="position-embeddings",
            title="a 6 x 6 parameter to 9 x 9, added to the input",
            build=_embeddings,
            inputs=images(1, 4, 9, 9),
            batch=1,
            status=Status.CRASH,
            signature="SIGSEGV",
            workarounds=("resize",),
        ),
    ),
)
