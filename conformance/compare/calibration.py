"""The limits of the verdict, from records of compilers whose answers are right: one rule for every dtype.

A limit is twice the largest ratio of error to noise of a healthy answer, rounded up.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import ceil, floor, isfinite

import numpy as np

from conformance.cases.errors import UserError
from conformance.cases.outcome import ImageFigures, Record
from conformance.compare.limits import Faulty, Healthy, Limit, Ratios

HEALTHY = ("openvino", "onnxruntime", "inductor")
FRONT_END = "xla"  # healthy with a workaround
FACTOR = 2
_PACKAGES = {
    "openvino": ("openvino",),
    "onnxruntime": ("onnxruntime",),
    "inductor": ("torch",),
    "xla": ("torch-xla",),
}
# Unit roundoff of what is compared: the smallest relative noise that a ratio is formed with.
FLOORS = {
    "float32": 2.0**-24,
    "bfloat16": 2.0**-9,
    "float16": 2.0**-12,
    "matmult-bf16": 2.0**-24,
    "all-bf16": 2.0**-9,
}
_HEAD = """\
# Above which ratio of error to noise an answer is wrong, and the smallest relative noise a ratio is formed with.
# A limit belongs to a dtype, never to a model. `healthy` are the ratios, per image and group or layer, of compilers
# whose answers are right; a limit is twice the largest of them, rounded up. `faulty` is the smallest ratio, in the
# worst group, that a known defect gave. Written by `conformance calibrate-limits --write`.
"""


def calibrated(records: Iterable[Record]) -> dict[str, Limit]:
    """The limits of every dtype that there are healthy records of. Raises UserError where there are none, and where
    a healthy answer is wrong by any measure: it is not finite."""
    by_dtype: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        if record.task and not record.emulated and record.decided and record.groups:
            by_dtype[record.dtype].append(record)
    limits = {dtype: found for dtype in FLOORS if (found := _limit(dtype, by_dtype[dtype]))}
    if not limits:
        raise UserError(f"no figures of {', '.join(HEALTHY)}, or of {FRONT_END} with a workaround, in these records")
    return limits


def healthy(record: Record) -> bool:
    """Whether the answer should be right: by a compiler of HEALTHY, and no known defect explains what is wrong.

    torch-xla's CPU adds up float16 in float16, where all others take float32: five times the rounding is no measure.
    """
    front_end = record.target == FRONT_END and bool(record.workarounds) and record.dtype != "float16"
    return (record.target in HEALTHY or front_end) and not record.defects


def faulty(record: Record) -> bool:
    """Whether the answer is known to be wrong: the real front end, with a known defect."""
    return record.target == FRONT_END and bool(record.defects) and record.layer is None


def as_toml(limits: Mapping[str, Limit]) -> str:
    """The content of `limits.toml`."""
    return "\n".join([_HEAD, *(_section(dtype, found) for dtype, found in limits.items())])


def _limit(dtype: str, records: Sequence[Record]) -> Limit | None:
    good = [record for record in records if healthy(record)]
    whole = [record for record in good if record.layer is None]
    outputs = _ratios(image for record in whole for image in _images(record))
    in_place = _ratios(image for record in whole for layer in record.layers for image in layer.per_image)
    isolated = _ratios(image for record in good if record.layer for image in _images(record))
    if outputs is None:
        return None
    bad = [record for record in records if faulty(record)]
    smallest = min((record.groups[record.worst_group].noise_ratio for record in bad if record.worst_group), default=0)
    return Limit(
        outputs=ceil(FACTOR * outputs.largest),
        in_place=ceil(FACTOR * (in_place or outputs).largest),
        isolated=ceil(FACTOR * (isolated or in_place or outputs).largest),
        floor=FLOORS[dtype],
        healthy=Healthy(by=_by(good), outputs=outputs, in_place=in_place, isolated=isolated),
        faulty=Faulty(by=_by(bad), smallest=floor(smallest)) if smallest else None,
    )


def _images(record: Record) -> Iterator[ImageFigures]:
    return (image for group in record.groups.values() for image in group.per_image)


def _ratios(images: Iterable[ImageFigures]) -> Ratios | None:
    """The distribution; None of nothing."""
    found = sorted(image.noise_ratio for image in images)
    if not found:
        return None
    if not isfinite(sum(found)):
        raise UserError("a healthy answer is not finite, and no known defect explains it: leave its record out")
    middle, high = (round(float(np.quantile(found, share)), 2) for share in (0.5, 0.95))
    return Ratios(count=len(found), median=middle, p95=high, largest=ceil(found[-1] * 100) / 100)


def _by(records: Sequence[Record]) -> str:
    """Which compilers, and how many cells of which models."""
    packages = {
        f"{name} {number}" for r in records for name, number in r.environment.items() if name in _PACKAGES[r.target]
    }
    systems = sorted({record.system for record in records})
    return f"{', '.join(sorted(packages))}; {len(records)} cells of {', '.join(systems)}"


def _section(dtype: str, found: Limit) -> str:
    """One dtype's tables."""
    healthy = found.healthy
    lines = [
        f"[{dtype}]",
        f"outputs = {found.outputs}",
        f"in_place = {found.in_place}",
        f"isolated = {found.isolated}",
        f"floor = {found.floor!r}",
        "",
        f"[{dtype}.healthy]",
        f"by = {json.dumps(healthy.by)}",
    ]
    for name in ("outputs", "in_place", "isolated"):
        if (ratios := getattr(healthy, name)) is not None:
            figures = ", ".join(f"{key} = {value}" for key, value in ratios.model_dump().items())
            lines.append(f"{name} = {{ {figures} }}")
    if found.faulty:
        lines += [
            "",
            f"[{dtype}.faulty]",
            f"by = {json.dumps(found.faulty.by)}",
            f"smallest = {found.faulty.smallest}",
        ]
    return "\n".join([*lines, ""])
