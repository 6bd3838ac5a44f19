"""A program that was compiled for other logical NeuronCores than the runtime has."""

from __future__ import annotations

from conformance.cases.outcome import Stage
from conformance.defects.defect import Defect, Evidence, unseen

LNC_MISMATCH = Defect(
    id="lnc-mismatch",
    title="compiled for other logical NeuronCores (LNC) than the runtime has",
    known=(
        "On trn2 two physical NeuronCores make one logical core unless told otherwise. A program does not load where "
        "the compiler's --lnc is not NEURON_LOGICAL_NC_CONFIG; 2 on a device that knows only 1 is refused by the "
        "compiler. It is so by design, and no graph shows it: there is no minimal case. Give both the same."
    ),
    evidence=Evidence.REPORT,
    seen=(
        "compiler release notes of SDK 2.21, which introduce it; AWS's documentation of the logical NeuronCore "
        "configuration and of NCC_EARG001"
    ),
    links=(
        "https://github.com/aws-neuron/aws-neuron-sdk/blob/81ce03ae/about-neuron/arch/neuron-features/logical-neuroncore-config.rst",
        "https://github.com/aws-neuron/aws-neuron-sdk/blob/81ce03ae/compiler/error-codes/EARG001.rst",
    ),
    packages={"neuronx-cc": ">=2.16"},
    trigger=unseen,
    stage=Stage.COMPILE,
    refusal="NCC_EARG001",
    workarounds=(),
    minimal_cases=(),
)
