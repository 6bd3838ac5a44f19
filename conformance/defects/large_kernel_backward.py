"""neuronx-cc could not compile the gradient of a large kernel."""

from __future__ import annotations

from conformance.cases.outcome import Stage
from conformance.defects.defect import Defect, Evidence, unseen

LARGE_KERNEL_BACKWARD = Defect(
    id="large-kernel-backward",
    title="the gradient of a 7 x 7 convolution does not compile (NCC_ITEN404)",
    known=(
        "A stem of 7 x 7, stride 2, with batch norm and ReLU; 3 x 3 and 1 x 1 compile. It strikes in training alone: "
        "no graph of a deployed model shows it, there is no minimal case, and it is not played. The issue is closed."
    ),
    evidence=Evidence.TRANSCRIPT,
    seen="aws-neuron-sdk#1295: trn1, neuronx-cc 2.23.6484, input (1, 3, 256, 1024)",
    links=("https://github.com/aws-neuron/aws-neuron-sdk/issues/1295",),
    packages={"neuronx-cc": ">=2.23"},
    trigger=unseen,
    stage=Stage.COMPILE,
    workarounds=(),
    minimal_cases=(),
    hardware=("trn1",),
)
