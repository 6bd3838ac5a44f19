"""Whether an answer is right: its error, group by group and image by image, over the error that is allowed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from conformance.cases.outcome import GroupFigures, ImageFigures, LayerFigures, PublishedGate
from conformance.compare.metrics import MEASURES, by_image, cosine, rel_l2, sqnr_db
from conformance.core.groups import Group

# Of one group or layer, by every measure it is judged by: the largest error, per image, of equally valid CPU runs.
BaselineErrors = Mapping[str, Sequence[float]]

PUBLISHED_COSINE = 0.98


def split_groups(outputs: Sequence[Tensor], groups: Sequence[Group], images: int) -> dict[str, Tensor]:
    """The named parts of a model's outputs, each (images, values)."""
    return {group.name: by_image([group.of(outputs)], images) for group in groups}


def each_output(count: int) -> tuple[Group, ...]:
    """A group for each output."""
    return tuple(Group(f"output.{index}" if count > 1 else "output", index) for index in range(count))


def compare_images(
    answer: Tensor,
    reference: Tensor,
    baseline: BaselineErrors,
    floor: float,
    allowed_ratio: float,
    apart: Sequence[float] | None = None,
) -> list[ImageFigures]:
    """The figures of each image, and whether it is bad. A NaN anywhere in an image makes its errors and ratio NaN.

    `apart` is given where rounding looks like another image: how far that is from the reference. Then an image is bad
    only where its answer is further away still.
    """
    errors = {name: MEASURES[name](answer, reference).tolist() for name in baseline}
    ratios = [
        [error / max(allowed, floor) for error, allowed in zip(errors[name], allowed_errors, strict=True)]
        for name, allowed_errors in baseline.items()
    ]
    worst, which = torch.tensor(ratios, dtype=torch.float64).max(dim=0)  # NaN is the largest
    return [
        ImageFigures(
            noise_ratio=float(worst[image]),
            measure=list(baseline)[int(which[image])],
            rel_l2=errors["L2"][image],
            rel_peak=errors["peak"][image] if "peak" in errors else None,
            cosine=similarity,
            bad=not worst[image] <= allowed_ratio and (apart is None or not errors["L2"][image] <= apart[image]),
        )
        for image, similarity in enumerate(cosine(answer, reference).tolist())
    ]


def compare_group(
    answer: Tensor,
    reference: Tensor,
    baseline: BaselineErrors,
    floor: float,
    allowed_ratio: float,
    apart: Sequence[float] | None = None,
) -> GroupFigures:
    """The figures of one output group or layer, over the batch and per image, and whether it is bad."""
    images = compare_images(answer, reference, baseline, floor, allowed_ratio, apart)
    ratio = float(torch.tensor([image.noise_ratio for image in images], dtype=torch.float64).max())
    flat, flat_reference = answer.reshape(1, -1), reference.reshape(1, -1)
    rel = rel_l2(flat, flat_reference).item()
    return GroupFigures(
        noise_ratio=ratio,
        rel_l2=rel,
        cosine=cosine(flat, flat_reference).item(),
        max_abs=(answer - reference).abs().amax().item() if answer.numel() else 0.0,
        sqnr_db=sqnr_db(rel),
        per_image=images,
        bad=any(image.bad for image in images),
    )


def as_layer(path: str, kind: str, how: str, figures: GroupFigures) -> LayerFigures:
    """The figures of a layer's output as a line of the layers."""
    same = {name: getattr(figures, name) for name in ("noise_ratio", "cosine", "per_image", "bad")}
    return LayerFigures(path=path, type=kind, how=how, **same)


def mismatch(
    answers: Sequence[object], references: Sequence[Tensor], dtypes: Sequence[torch.dtype] | None = None
) -> str | None:
    """What is wrong with the number, the kind, the shapes or, where these are given, the dtypes of the outputs; None
    where nothing is."""
    if len(answers) != len(references):
        return f"{len(answers)} outputs instead of {len(references)}"
    for index, (answer, reference) in enumerate(zip(answers, references, strict=True)):
        if not isinstance(answer, Tensor):
            return f"output {index} is a {type(answer).__name__} instead of a tensor"
        if answer.device.type != "cpu" or answer.layout != reference.layout:
            return f"output {index} is on {answer.device}, {answer.layout}, instead of on the CPU, {reference.layout}"
        if answer.shape != reference.shape:
            return f"output {index} is {tuple(answer.shape)} instead of {tuple(reference.shape)}"
        if dtypes is not None and answer.dtype != dtypes[index]:
            return f"output {index} is {_plain(answer.dtype)} instead of {_plain(dtypes[index])}"
    return None


def _plain(dtype: torch.dtype) -> str:
    """`float32`."""
    return str(dtype).removeprefix("torch.")


def finite(tensors: Sequence[Tensor]) -> bool:
    """Whether there is no NaN and no infinity."""
    return all(bool(torch.isfinite(tensor).all()) for tensor in tensors)


def published_gate(answers: Sequence[Tensor], references: Sequence[Tensor]) -> PublishedGate:
    """One cosine over everything: the gate of the published YOLO26 port (its tests ask for 0.98)."""
    flat, flat_reference = (by_image([t.reshape(1, -1) for t in side]) for side in (answers, references))
    value = cosine(flat, flat_reference).item()
    rule = f"cosine of the whole output >= {PUBLISHED_COSINE}"
    return PublishedGate(rule=rule, cosine=value, passes=value >= PUBLISHED_COSINE)
