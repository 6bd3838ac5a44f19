"""What users of a detector would notice: the detections that a compiled model keeps, loses and makes up."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache, partial
from itertools import islice
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from conformance.cases.case import Subject, stored_dtype
from conformance.cases.outcome import DetectionCounts, DetectionFigures
from conformance.compare.limits import limit
from conformance.compare.rows import SCORE, align_rows
from conformance.core.errors import UserError
from conformance.core.store import Store
from conformance.detections.average_precision import Labels, average_precision
from conformance.detections.matching import CONFIDENCES, count_images, differs, total
from conformance.detections.postprocess import Detections, from_cells, from_rows, restored
from conformance.golden.baseline import UNCONDITIONAL, baseline_runs
from conformance.golden.reference import cast, golden_key
from conformance.programs.program import Whole, tensors
from conformance.scenes.labelled import as_input
from conformance.scenes.letterbox import Letterbox
from conformance.scenes.pictures import find_pictures
from conformance.systems.building.images import labels
from conformance.systems.protocol import Model, System

IMAGES = 64
_DRAWS = 16
_FIRST = 2  # indices 0 and 1 are the images that are compared and those the program was compiled for
_READ = {"cells": from_cells, "rows": from_rows}


@dataclass(frozen=True)
class Shown:
    """What a detector is shown, in batches, and what is in each image, where that is known. `boxes` are where the
    pictures of a user lie in the images, known once these are read; the last batch may be filled up."""

    batches: Iterable[tuple[Tensor, ...]]
    labels: Sequence[Labels]
    boxes: Sequence[Letterbox] | None = None

    def settled(self, found: list[Detections], first: int) -> list[Detections]:
        """The detections in each image of the batch that begins with the `first` or, where there are pictures in
        them, in pixels of the pictures."""
        if self.boxes is None:
            return found
        return [restored(image, box) for image, box in zip(found, self.boxes[first:], strict=False)]


def detect(
    subject: Subject,
    system: System,
    model: Model,
    ask: Callable[[tuple[Tensor, ...]], tuple[Tensor, ...]],
    folder: str | None = None,
) -> DetectionFigures | None:
    """The figures over the pictures of a folder or, without one, IMAGES images or a few more; in batches of the
    subject. `ask` gives what the device answers to a batch. None where the model does not detect. Raises UserError
    for pictures that cannot be read."""
    if model.detector is None:
        return None
    shown = _suite(subject, system) if folder is None else _pictures(subject, folder)
    dtype: torch.dtype = getattr(torch, stored_dtype(subject.dtype))
    exact = cache(lambda: copy.deepcopy(model.module).double())
    rounded = cache(lambda: Whole(copy.deepcopy(model.module).to(dtype)))
    wanted: list[Detections] = []
    given: list[Detections] = []
    rounding = True
    for batch in shown.batches:
        inputs = tuple(cast(x, dtype) for x in batch)
        reference, answer = _reference(model, exact, batch), ask(inputs)[0]
        read = partial(_read, model.detector, shown, len(wanted))
        wanted += (right := read(reference))
        given += (found := read(answer))
        if rounding and _differ([right], found):  # else it is wrong, whatever the rest is
            good = _allowed(rounded(), inputs, reference, subject.dtype, ranked=model.detector == "rows")
            rounding = not _differ([right, *map(read, good)], found)
    figures = DetectionFigures(
        images=len(wanted),
        folder=folder,
        counts=[
            DetectionCounts(**asdict(total(count_images(wanted, given, confidence)))) for confidence in CONFIDENCES
        ],
        rounding=rounding,
        nonfinite=sum(image.nonfinite for image in given),
    )
    return figures.model_copy(update=_precision(shown.labels, wanted, given))


def _read(detector: str, shown: Shown, first: int, output: Tensor) -> list[Detections]:
    """The detections of a batch, as they are counted."""
    return shown.settled(_READ[detector](output), first)


def _differ(valid: Sequence[list[Detections]], answer: list[Detections]) -> bool:
    """Whether the answer to a batch has lost or made up what all valid runs, or none of them, have in an image."""
    return any(
        differs(runs, found, confidence)
        for *runs, found in zip(*valid, answer, strict=True)
        for confidence in CONFIDENCES
    )


def _allowed(
    module: nn.Module, inputs: tuple[Tensor, ...], reference: Tensor, dtype: str, ranked: bool
) -> Iterator[Tensor]:
    """First outputs that are as good as any: those of valid CPU runs and, as far from the reference as a limit lets
    an answer be, what lies beyond these, opposite to them, or anywhere. Rows that are `ranked` keep their classes."""
    values = 1 if ranked else 2  # the dimension along which boxes, and scores of a class, are of one kind
    size = reference.norm(dim=values, keepdim=True).clamp(min=1e-30)
    noise = torch.zeros_like(size)
    furthest = limit(dtype).outputs
    for _, (output, *_) in islice(baseline_runs(module, inputs, dtype), UNCONDITIONAL):
        error = (align_rows(output.double(), reference) if ranked else output.double()) - reference
        yield from (output, reference + furthest * error, reference - furthest * error)
        finite = error.nan_to_num(0, 0, 0)  # else all that is drawn would be NaN, and excuse anything
        noise = noise.maximum(finite.norm(dim=values, keepdim=True) / size)
    if ranked:
        noise[..., SCORE + 1 :] = 0
    generator = torch.Generator().manual_seed(0)
    for _ in range(_DRAWS):
        drawn = torch.randn(reference.shape, generator=generator, dtype=reference.dtype)
        yield reference * (1 + furthest * noise * drawn)


def _suite(subject: Subject, system: System) -> Shown:
    """What the suite has for a system: scenes for weights that were trained on them, or crops of photographs."""
    indices = range(_FIRST, _FIRST + ceil(IMAGES / subject.batch))
    known = [label for index in indices for label in labels(subject, index) or ()]
    return Shown((system.inputs(subject, index) for index in indices), known)


def _pictures(subject: Subject, folder: str) -> Shown:
    """The pictures of a folder, each letterboxed."""
    assert subject.height is not None
    assert subject.width is not None
    pictures = find_pictures(Path(folder))
    height, width = subject.height, subject.width
    boxes: list[Letterbox] = []

    def batches() -> Iterator[tuple[Tensor, ...]]:
        for start in range(0, len(pictures), subject.batch):
            fitted = [picture.fitted(height, width) for picture in pictures[start : start + subject.batch]]
            boxes.extend(box for _, box in fitted)
            pixels = [pixels for pixels, _ in fitted]
            pixels += pixels[-1:] * (subject.batch - len(pixels))
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
