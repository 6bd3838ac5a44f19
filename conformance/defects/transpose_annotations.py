"""neuronx-cc mixed up transposes while it spread work over the partitions."""

from __future__ import annotations

from conformance.cases.outcome import Stage
from conformance.defects.defect import Defect, Evidence, unseen

TRANSPOSE_ANNOTATIONS = Defect(
    id="transpose-annotations",
    title="transposes are mixed up when work is spread over partitions",
    known=(
        "Results are wrong without a word. The release notes do not say which transposes: no graph shows it, there "
        "is no minimal case, and it is not played. On an older release judge every layer on the device."
    ),
    evidence=Evidence.REPORT,
    seen="compiler release notes of SDK 2.32, fixed issues",
    links=("https://github.com/aws-neuron/aws-neuron-sdk/blob/81ce03ae/release-notes/components/compiler.rst",),
    packages={"neuronx-cc": "<2.27"},
    trigger=unseen,
    stage=Stage.COMPARE,
    workarounds=(),
    minimal_cases=(),
    fixed_in="2.32.0",
)
