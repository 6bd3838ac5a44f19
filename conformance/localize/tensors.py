"""Graph, inputs and both outputs of a small program, as a child that can run it writes them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from conformance.running.child import Job
from conformance.running.device import Device, TargetFailed
from conformance.running.pipeline import comparison_of
from conformance.targets.loading import load_target
from conformance.targets.xla import hlo_text


def write_tensors(job: Job, folder: Path) -> None:
    """`program.pt2`, `program.hlo` where it is torch-xla that captures it, `inputs`, `expected` and, where the target
    gives anything, `got`, as safetensors."""
    target = load_target(job.target)
    comparison = comparison_of(job.case, job.system)
    torch.export.save(comparison.program.exported, folder / "program.pt2")
    if target.name == "xla" and (hlo := hlo_text(comparison.program)):
        (folder / "program.hlo").write_text(hlo, encoding="utf-8")
    _save(comparison.compared.inputs, folder / "inputs.safetensors")
    _save(comparison.compared.reference, folder / "expected.safetensors")
    device = Device(target, job.case, lambda stage: None)
    try:
        got = device.call(device.compile(comparison.program), comparison.compared.inputs)
    except TargetFailed as failed:
        (folder / "got.txt").write_text(str(failed), encoding="utf-8")
    else:
        _save(got, folder / "got.safetensors")


def _save(tensors: Sequence[Tensor], path: Path) -> None:
    save_file({str(index): tensor.contiguous().clone() for index, tensor in enumerate(tensors)}, path)
