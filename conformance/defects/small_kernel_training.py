"""neuronx-cc could not compile the training of a small convolutional network."""

from __future__ import annotations

from conformance.cases.outcome import Stage
from conformance.defects.defect import Defect, Evidence, unseen

SMALL_KERNEL_TRAINING = Defect(
    id="small-kernel-training",
    title="training a network of 5 x 5 convolutions compiles at batches of 25, 50, ... alone",
    known=(
        "PyTorch's example for FashionMNIST: an internal error of the tensorizer, reproduced by AWS. A user saw it "
        "compile where the batch is a multiple of 25. AWS thinks the first is fixed in the release of May 2025 and "
        "leaves the second open. It strikes in training alone: there is no minimal case, and it is not played."
    ),
    evidence=Evidence.REPORT,
    seen="aws-neuron-sdk#881: neuronx-cc 2.13.72",
    links=("https://github.com/aws-neuron/aws-neuron-sdk/issues/881",),
    packages={"neuronx-cc": "==2.13.*"},
    history=True,
    trigger=unseen,
    stage=Stage.COMPILE,
    workarounds=(),
    minimal_cases=(),
)
