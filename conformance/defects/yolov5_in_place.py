"""torch-neuronx could not trace the head of YOLOv5, which makes and writes its grids while it runs."""

from __future__ import annotations

from conformance.cases.outcome import Stage
from conformance.defects.defect import Defect, Evidence, unseen

YOLOV5_IN_PLACE = Defect(
    id="yolov5-in-place",
    title="YOLOv5's head, which writes in place, cannot be traced by torch-neuronx 1.13",
    known=(
        "The head makes its grids in the first call and decodes boxes in place. Set inplace = False in every module "
        "that has it, and call the model once before it is traced: so AWS said of the same model in torch-neuron. "
        "The issue is open; no operator is named in it: there is no minimal case, and it is not played."
    ),
    evidence=Evidence.REPORT,
    seen=(
        "aws-neuron-sdk#757, of September 2023 (SDK 2.14): yolov5l at 640 x 640 on inf2; the remedy is that of #434 "
        "and #435"
    ),
    links=(
        "https://github.com/aws-neuron/aws-neuron-sdk/issues/757",
        "https://github.com/aws-neuron/aws-neuron-sdk/issues/434",
        "https://github.com/aws-neuron/aws-neuron-sdk/issues/435",
    ),
    packages={"torch-neuronx": "==1.13.*"},
    history=True,
    trigger=unseen,
    stage=Stage.LOWER,
    workarounds=(),
    minimal_cases=(),
)
