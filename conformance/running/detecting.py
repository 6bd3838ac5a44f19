"""What users of a detector would notice: the detections that a compiled model keeps, loses and makes up."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from conformance.cases.case import Case, stored_dtype
from conformance.cases.errors import UserError
from conformance.cases.outcome import DetectionCounts, DetectionFigures
from conformance.detections.average_precision import Labels, average_precision
from conformance.detections.letterbox import Letterbox
from conformance.detections.matching import CONFIDENCES, count_images, total
from conformance.detections.pictures import find_pictures
from conformance.detections.postprocess import Detections, from_cells, from_rows, restored
from conformance.golden.reference import cast, golden_key
from conformance.program import tensors
from conformance.scenes.labelled import as_input
from conformance.store import Store
from conformance.systems.images import labels
from conformance.systems.protocol import Model, System

IMAGES = 64
_FIRST = 2  # indices 0 and 1 are the images that are compared and those the program was compiled for
_READ = {"cells": from_cells, "rows": from_rows}


@dataclass(frozen=True)
class Shown:
    """What a detector is shown, in batches, and what is in each image, where that is known. `boxes` are where the
    pictures of a user lie in the images, known once these are read; the last batch may be filled up."""

    batches: Iterable[tuple[Tensor, ...]]
    labels: Sequence[Labels]
    boxes: Sequence[Letterbox] | None = None

    def settled(self, found: list[Detections]) -> list[Detections]:
        """The detections of each image or, where there are pictures in them, in pixels of the pictures."""
        if self.boxes is None:
            return found
        return [restored(image, box) for image, box in zip(found, self.boxes, strict=False)]


def detect(
    case: Case,
    system: System,
    model: Model,
    ask: Callable[[tuple[Tensor, ...]], tuple[Tensor, ...]],
    folder: str | None = None,
) -> DetectionFigures | None:
    """The figures over the pictures of a folder or, without one, IMAGES images or a few more; in batches of the case.
    `ask` gives what the device answers to a batch. None where the model does not detect. Raises UserError for
    pictures that cannot be read."""
    if model.detector is None:
        return None
    shown = _suite(case, system) if folder is None else _pictures(case, folder)
    dtype: torch.dtype = getattr(torch, stored_dtype(case.dtype))
    read = _READ[model.detector]
    exact = cache(lambda: copy.deepcopy(model.module).double())
    wanted: list[Detections] = []
    given: list[Detections] = []
    for batch in shown.batches:
        wanted += read(_reference(model, exact, batch))
        given += read(ask(tuple(cast(x, dtype) for x in batch))[0])
    wanted, given = shown.settled(wanted), shown.settled(given)
    figures = DetectionFigures(
        images=len(wanted),
        folder=folder,
        counts=[
            DetectionCounts(**asdict(total(count_images(wanted, given, confidence)))) for confidence in CONFIDENCES
        ],
        nonfinite=sum(image.nonfinite for image in given),
    )
    return figures.model_copy(update=_precision(shown.labels, wanted, given))


def _suite(case: Case, system: System) -> Shown:
    """What the suite has for a system: scenes for weights that were trained on them, or crops of photographs."""
    indices = range(_FIRST, _FIRST + ceil(IMAGES / case.batch))
    known = [label for index in indices for label in labels(case, index) or ()]
    return Shown((system.inputs(case, index) for index in indices), known)


def _pictures(case: Case, folder: str) -> Shown:
    """The pictures of a folder, each letterboxed."""
    assert case.height is not None and case.width is not None
    pictures = find_pictures(Path(folder))
    height, width = case.height, case.width
    boxes: list[Letterbox] = []

    def batches() -> Iterator[tuple[Tensor, ...]]:
        for start in range(0, len(pictures), case.batch):
            fitted = [picture.fitted(height, width) for picture in pictures[start : start + case.batch]]
            boxes.extend(box for _, box in fitted)
            pixels = [pixels for pixels, _ in fitted]
            pixels += pixels[-1:] * (case.batch - len(pixels))
            yield (as_input(pixels),)

    known = [picture.labels for picture in pictures if picture.labels is not None]
    return Shown(batches(), known, boxes)


def _precision(known: Sequence[Labels], wanted: list[Detections], given: list[Detections]) -> dict[str, float | str]:
    """AP of the device and of the reference, where it is known what is in the images."""
    if not known:
        return {}
    kinds = np.concatenate([np.asarray(found.classes) for found in (*known, *wanted, *given)])
    classes = 1 + int(kinds.max(initial=0))
    try:
        device, reference = (average_precision(found, known, classes) for found in (given, wanted))
    except UserError as error:  # the library is not installed, nothing is labelled: the counts stand without it
        return {"no_ap": str(error)}
    return {"ap": device.ap, "ap50": device.ap50, "reference_ap": reference.ap, "reference_ap50": reference.ap50}


def _reference(model: Model, exact: Callable[[], Any], batch: tuple[Tensor, ...]) -> Tensor:
    """The first output for a batch of the model in float64, which `exact` gives; from disk where it was computed
    before."""
    key, store = golden_key(model.key, (), batch), Store("detections")
    with store.lock(key):
        if (entry := store.load(key)) is None:
            output = tensors(exact()(*(cast(x, torch.float64) for x in batch)))[0]
            store.save(key, {"output": output}, {})
            return output
    return entry[0]["output"]
