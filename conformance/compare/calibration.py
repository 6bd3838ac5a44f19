"""The limits of the verdict, from records of compilers whose answers are right: one rule for every dtype."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timezone
from fnmatch import fnmatchcase
from math import floor

from conformance.cases.outcome import Record
from conformance.compare.evidence import KINDS, Kind, LimitEvidence, Ratios, gathered, limit_of, quantile
from conformance.compare.limits import Distribution, Faulty, Healthy, Limit, limit
from conformance.core.errors import UserError
from conformance.core.revision import suite_revision

HEALTHY = ("openvino", "onnxruntime", "inductor")
FRONT_END = "xla"  # healthy with a workaround
_PACKAGES = {
    "openvino": ("openvino",),
    "onnxruntime": ("onnxruntime",),
    "inductor": ("torch",),
    "xla": ("torch-xla",),
}
# Unit roundoff of what is compared: the smallest relative baseline error that a ratio is formed with.
FLOORS = {
    "float32": 2.0**-24,
    "bfloat16": 2.0**-9,
    "float16": 2.0**-12,
    "matmult-bf16": 2.0**-24,
    "all-bf16": 2.0**-9,
}
_HEAD = """\
# Above which error ratio an answer is wrong, and the smallest relative baseline error a ratio is formed with.
# A limit belongs to a dtype, never to a model. `healthy` are the ratios, per image and group or layer, of compilers
# whose answers are right; a limit is twice the largest of them, rounded up. `faulty` is the smallest ratio, in the
# worst group, that a known defect gave. Written by `conformance calibrate-limits --write`, from the ratios in
# matrices/published/limits.json.
"""


def measured(
    records: Iterable[Record], host: str, trusted: Collection[str] = (), kept: Collection[str] = ()
) -> LimitEvidence:
    """The ratios of records, of those that should be right. Raises UserError where there are none, and for suspects:
    answers that are wrong by the limits in force, and that no known defect explains. Those of an id or a pattern that
    is `trusted` were looked at, and count. Of dtypes that are `kept`, what the limits in force were measured on
    counts, too: this machine may lack them."""
    counted = [record for record in records if record.subject.task and not record.emulated and record.groups]
    good = [record for record in counted if healthy(record)]
    failed = [record.id for record in good if record.failed]
    if unknown := [pattern for pattern in trusted if not any(fnmatchcase(id_, pattern) for id_ in failed)]:
        raise UserError(f"--trust {unknown[0]!r}: no record that should be right and is wrong has this id")
    if suspects := [id_ for id_ in failed if not any(fnmatchcase(id_, pattern) for pattern in trusted)]:
        more = f" and {len(suspects) - 1} more" if len(suspects) > 1 else ""
        raise UserError(
            f"{suspects[0]}{more} should be right and is wrong, and no known defect explains it: a limit measured on "
            "it would hide that. Leave out its record or, when it was looked at and is right, --trust its id"
        )
    good = [record for record in good if record.decided]
    if not good:
        raise UserError(f"no figures of {', '.join(HEALTHY)}, or of {FRONT_END} with a workaround, in these records")
    smallest: dict[str, list[float]] = defaultdict(list)
    for record in filter(faulty, counted):
        if record.worst_group:
            smallest[record.subject.dtype].append(record.groups[record.worst_group].noise_ratio)
    return LimitEvidence(
        host=host,
        measured=f"{datetime.now(timezone.utc):%Y-%m-%d}",
        packages=_versions(good),
        revision=suite_revision(),
        healthy=gathered(good),
        faulty={dtype: min(ratios) for dtype, ratios in smallest.items()},
        earlier={dtype: limit(dtype).healthy for dtype in kept},
    )


def healthy(record: Record) -> bool:
    """Whether the answer should be right: by a compiler of HEALTHY, and no known defect explains what is wrong.

    torch-xla's CPU adds up float16 in float16, where all others take float32: five times the rounding is no measure.
    """
    front_end = (
        record.column.target == FRONT_END and bool(record.column.workarounds) and record.subject.dtype != "float16"
    )
    return (record.column.target in HEALTHY or front_end) and not record.defects


def faulty(record: Record) -> bool:
    """Whether the answer is known to be wrong: the real front end, with a known defect."""
    return record.column.target == FRONT_END and bool(record.defects) and record.layer is None


def calibrated(evidence: LimitEvidence) -> dict[str, Limit]:
    """The limits of every dtype that there are healthy ratios of, now or earlier."""
    return {dtype: _limit(evidence, dtype) for dtype in FLOORS if _widest(evidence, dtype, "outputs")}


def as_toml(limits: Mapping[str, Limit]) -> str:
    """The content of `limits.toml`."""
    return "\n".join([_HEAD, *(_section(dtype, found) for dtype, found in limits.items())])


def _limit(evidence: LimitEvidence, dtype: str) -> Limit:
    outputs, in_place, isolated = (_widest(evidence, dtype, kind) for kind in KINDS)
    assert outputs is not None
    smallest = evidence.faulty.get(dtype)
    return Limit(
        outputs=limit_of(outputs.largest),
        in_place=limit_of((in_place or outputs).largest),
        isolated=limit_of((isolated or in_place or outputs).largest),
        floor=FLOORS[dtype],
        healthy=Healthy(by=_sources(evidence, dtype), outputs=outputs, in_place=in_place, isolated=isolated),
        faulty=Faulty(smallest=floor(smallest)) if smallest else None,
    )


def _sources(evidence: LimitEvidence, dtype: str) -> str:
    """Who gave the ratios, and after them who gave those that are kept, each once."""
    ratios = [*evidence.of(dtype, "outputs"), *evidence.of(dtype, "isolated")]
    now = [_by(ratios, evidence.packages)] if ratios else []
    kept = evidence.earlier[dtype].by.split("; earlier ") if dtype in evidence.earlier else []
    before = [one for one in (one.removeprefix("earlier ") for one in kept) if one not in now]
    return "; ".join([*now, *(f"earlier {one}" for one in before)])


def _widest(evidence: LimitEvidence, dtype: str, kind: Kind) -> Distribution | None:
    """Of the ratios of now and what is kept of earlier ones, the distribution that reaches further."""
    ratios = evidence.of(dtype, kind)
    earlier: Distribution | None = getattr(evidence.earlier.get(dtype), kind, None)
    found = [one for one in (_distribution(ratios) if ratios else None, earlier) if one is not None]
    return max(found, key=lambda one: one.largest, default=None)


def _distribution(ratios: Sequence[Ratios]) -> Distribution:
    return Distribution(
        count=sum(sum(one.ratios.values()) for one in ratios),
        median=quantile(ratios, 0.5),
        p95=quantile(ratios, 0.95),
        largest=max(one.largest for one in ratios),
    )


def _by(ratios: Sequence[Ratios], packages: Mapping[str, str]) -> str:
    """Which compilers, and how many cases of which models."""
    names = sorted({name for one in ratios for name in _PACKAGES[one.target]})
    compilers = ", ".join(f"{name} {packages.get(name, '')}".strip() for name in names)
    cases = sum(sum(one.cases.values()) for one in ratios)
    return f"{compilers}; {cases} cases of {', '.join(sorted({one.system for one in ratios}))}"


def _versions(records: Iterable[Record]) -> dict[str, str]:
    """The versions of the compilers' packages, the newest where there are several."""
    found: dict[str, str] = {}
    for record in sorted(records, key=lambda record: record.finished):
        wanted = (name for name in _PACKAGES[record.column.target] if name in record.environment)
        found |= {name: record.environment[name] for name in wanted}
    return found


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
    for name in KINDS:
        if (ratios := getattr(healthy, name)) is not None:
            figures = ", ".join(f"{key} = {value}" for key, value in ratios.model_dump().items())
            lines.append(f"{name} = {{ {figures} }}")
    if found.faulty:
        lines += ["", f"[{dtype}.faulty]", f"smallest = {found.faulty.smallest}"]
    return "\n".join([*lines, ""])
