"""neuronx-cc let the outputs of a convolution overlap."""

from __future__ import annotations

from conformance.cases.outcome import Stage
from conformance.defects.defect import Defect, Evidence, unseen

CONVOLUTION_TILES = Defect(
    id="convolution-tiles",
    title="a convolution in tiles of several sizes does not compile: their outputs overlap",
    known=(
        "The release notes do not say which convolutions, nor which code it ends in: no graph shows it, there is no "
        "minimal case, and it is not played. Another size of the images may do."
    ),
    evidence=Evidence.REPORT,
    seen="compiler release notes of SDK 2.32, fixed issues",
    links=("https://github.com/aws-neuron/aws-neuron-sdk/blob/81ce03ae/release-notes/components/compiler.rst",),
    packages={"neuronx-cc": "<2.27"},
    trigger=unseen,
    stage=Stage.COMPILE,
    workarounds=(),
    minimal_cases=(),
    fixed_in="2.32.0",
)
