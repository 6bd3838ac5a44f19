"""What users of a detector would notice: the detections that a compiled model keeps, loses and makes up."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import asdict
from math import ceil

import torch
from torch import Tensor

from conformance.cases.case import Case, stored_dtype
from conformance.cases.errors import UserError
from conformance.cases.outcome import DetectionCounts, DetectionFigures
from conformance.detections.average_precision import average_precision
from conformance.detections.matching import CONFIDENCES, count_images, total
from conformance.detections.postprocess import Detections, from_cells, from_rows
from conformance.golden.reference import golden_key
from conformance.program import tensors
from conformance.store import Store, digest
from conformance.systems.images import labels
from conformance.systems.protocol import Model, System

IMAGES = 64
_FIRST = 2  # indices 0 and 1 are the images that are compared and those the program was compiled for
_READ = {"cells": from_cells, "rows": from_rows}


def detect(
    case: Case, system: System, model: Model, compiled: Callable[..., tuple[Tensor, ...]]
) -> DetectionFigures | None:
    """The figures over IMAGES images or a few more, in batches of the case; None where the model does not detect."""
    if model.detector is None:
        return None
    indices = range(_FIRST, _FIRST + ceil(IMAGES / case.batch))
    dtype: torch.dtype = getattr(torch, stored_dtype(case.dtype))
    read = _READ[model.detector]
    batches = [system.inputs(case, index) for index in indices]
    wanted = [image for output in _references(model, batches) for image in read(output)]
    given = [image for batch in batches for image in read(compiled(*(x.to(dtype) for x in batch))[0])]
    figures = DetectionFigures(
        images=len(wanted),
        counts=[
            DetectionCounts(**asdict(total(count_images(wanted, given, confidence)))) for confidence in CONFIDENCES
        ],
        nonfinite=sum(image.nonfinite for image in given),
    )
    return figures.model_copy(update=_precision(case, indices, wanted, given))


def _precision(
    case: Case, indices: Sequence[int], wanted: list[Detections], given: list[Detections]
) -> dict[str, float | str]:
    """AP of the device and of the reference, where it is known what is in the images."""
    known = [label for index in indices for label in labels(case, index) or ()]
    if not known:
        return {}
    classes = 1 + max(int(kind) for label in known for kind in label.classes)
    try:
        device, reference = (average_precision(found, known, classes) for found in (given, wanted))
    except UserError as error:  # the library is not installed: the counts stand without it
        return {"no_ap": str(error)}
    return {"ap": device.ap, "ap50": device.ap50, "reference_ap": reference.ap, "reference_ap50": reference.ap50}


def _references(model: Model, batches: Sequence[tuple[Tensor, ...]]) -> list[Tensor]:
    """The model's first output in float64 for each batch, from disk where they were computed before."""
    key = digest({"batches": [golden_key(model.key, (), batch) for batch in batches]})
    store = Store("detections")
    with store.lock(key):
        if (entry := store.load(key)) is None:
            exact = copy.deepcopy(model.module).double()
            outputs = [tensors(exact(*(x.double() for x in batch)))[0] for batch in batches]
            store.save(key, {str(place): output for place, output in enumerate(outputs)}, {})
            return outputs
    return [entry[0][str(place)] for place in range(len(batches))]
