"""neuronx-cc compiled the decoder of a DETR wrongly."""

from __future__ import annotations

from conformance.cases.outcome import Stage
from conformance.defects.defect import Defect, Evidence, unseen

DETR_DECODER = Defect(
    id="detr-decoder",
    title="the decoder of DEIMv2, a DETR, gives wrong boxes",
    known=(
        "Reported on inf2 without the operator that does it, and said to be fixed in SDK 2.32: no graph shows it, "
        "there is no minimal case, and it is not played. On an older release run the decoder on the CPU."
    ),
    evidence=Evidence.REPORT,
    seen="aws-neuron-samples#116",
    links=("https://github.com/aws-neuron/aws-neuron-samples/issues/116",),
    packages={"neuronx-cc": "<2.27"},
    trigger=unseen,
    stage=Stage.COMPARE,
    workarounds=(),
    minimal_cases=(),
    hardware=("inf2", "trn1"),
    fixed_in="2.32.0",
)
