"""The ways of cutting Faster R-CNN that AWS's application note on R-CNNs goes through, measured on this CPU."""

from __future__ import annotations

import copy
import platform
from importlib.metadata import version
from pathlib import Path

from conformance.cases.case import check_size, check_stride
from conformance.core.deferred import torch
from conformance.core.errors import UserError, check
from conformance.models.torchvision_ops import own_kernels
from conformance.partition.share import Cut, MeasuredPass
from conformance.systems.fasterrcnn import FasterRcnn

PARTS = {
    "backbone": ("backbone",),
    "rpn-head": ("rpn.head",),
    "box-head": ("roi_heads.box_head", "roi_heads.box_predictor"),
}
CUTS = (
    Cut((("backbone",),)),
    Cut((("backbone",), ("rpn-head",))),
    Cut((("backbone", "rpn-head"),)),
    Cut((("backbone", "rpn-head"), ("box-head",))),
)


def measured(variant: str, height: int, width: int, runs: int = 3) -> MeasuredPass:
    """The whole model of torchvision, one photograph of this many pixels, float32. Raises UserError."""
    system = FasterRcnn()
    if reason := system.missing():
        raise UserError(reason)
    check(f"{system.name} variant", variant, system.variants)
    check_stride(*check_size(1, height, width)[1:], system.stride("backbone"))

    from conformance.partition.measure import measure
    from conformance.systems.building.fasterrcnn import calibrated_stages
    from conformance.systems.building.images import crops

    model = copy.deepcopy(calibrated_stages(variant)[0])
    model.transform.min_size, model.transform.max_size = (min(height, width),), max(height, width)  # no resizing
    photograph = crops(1, height, width, 0)[0]
    return measure(model, ([photograph],), PARTS, f"{system.name}-{variant} {height}x{width}", _where(), runs)


def _where() -> str:
    """The processor, and whose RoIAlign and suppression were timed."""
    kernels = "its own kernels" if own_kernels() else "stand-ins for its kernels, which are slower"
    versions = f"torch {version('torch')}, torchvision {version('torchvision')} with {kernels}"
    return f"{_processor()}, {torch.get_num_threads()} threads, {versions}, float32, 1 image"


def _processor() -> str:
    """The name the processor gives itself."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
