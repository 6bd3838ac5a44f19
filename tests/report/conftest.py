"""Records as the suite writes them, made without running anything."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from conformance.cases.outcome import (
    DetectionCounts,
    DetectionFigures,
    GroupFigures,
    ImageFigures,
    LayerFigures,
    PublishedGate,
    Record,
    Seconds,
    Stage,
    Status,
)

TYPES = [
    *("Conv", "Conv", "C3k2", "Conv", "C3k2", "Conv", "C3k2", "Conv", "C3k2", "SPPF", "C2PSA", "Upsample"),
    *(
        "Concat",
        "C3k2",
        "Upsample",
        "Concat",
        "C3k2",
        "Conv",
        "Concat",
        "C3k2",
        "Conv",
        "Concat",
        "C3k2",
        "Detect",
    ),
]
STARTED = datetime(2026, 9, 3, 14, 5, tzinfo=timezone.utc)


def group(noise_ratio: float, cosine: float, images: int = 2) -> GroupFigures:
    """Figures of an output group; the first image is a little better than the others."""
    per_image = [
        ImageFigures(noise_ratio=noise_ratio * (0.5 if i == 0 else 1), rel_l2=1e-7 * noise_ratio, cosine=cosine)
        for i in range(images)
    ]
    return GroupFigures(
        noise_ratio=noise_ratio,
        rel_l2=1e-7 * noise_ratio,
        cosine=cosine,
        max_abs=0.3,
        sqnr_db=12.0,
        per_image=per_image,
        bad=noise_ratio >= 4,
    )


def layer(path: str, type_: str, noise_ratio: float, how: str = "in_place") -> LayerFigures:
    """Figures of a layer; from a error ratio of 4 on it is bad."""
    return LayerFigures(
        path=path,
        type=type_,
        how=how,
        noise_ratio=noise_ratio,
        cosine=0.5,
        per_image=[ImageFigures(noise_ratio=noise_ratio, rel_l2=1e-7 * noise_ratio, cosine=0.5)],
        bad=noise_ratio >= 4,
    )


def detected(kept: int, reference: int = 200, spurious: int = 0, ap: float | None = 0.5) -> DetectionFigures:
    """Figures at two confidences: at 0.5 there are half as many detections, and all of them are kept."""
    half = reference // 2
    return DetectionFigures(
        images=64,
        counts=[
            DetectionCounts(
                confidence=0.25, reference=reference, kept=kept, lost=reference - kept, spurious=spurious
            ),
            DetectionCounts(confidence=0.5, reference=half, kept=half, lost=0, spurious=0),
        ],
        nonfinite=0,
        ap=ap,
        ap50=None if ap is None else ap + 0.1,
        reference_ap=None if ap is None else 0.655,
        reference_ap50=None if ap is None else 0.812,
    )


def record(status: Status = Status.PASS, **changes: Any) -> Record:
    """A record of yolo26n-detect/b2/320x320/fp32@xla, as changed."""
    values: dict[str, Any] = {
        "system": "yolo26",
        "variant": "n",
        "task": "detect",
        "batch": 2,
        "height": 320,
        "width": 320,
        "dtype": "float32",
        "layer": None,
        "weights": None,
        "target": "xla",
        "emulated": changes.get("target") == "emulator",
        "hardware": "inf2" if changes.get("target") == "emulator" else "cpu",
        "sdk": "2.29.1" if changes.get("target") == "emulator" else None,
        "workarounds": [],
        "stage": Stage.COMPARE,
        "started": STARTED,
        "finished": STARTED + timedelta(seconds=41),
        "seconds": Seconds(compile=38.2, run=0.031),
        **changes,
    }
    found: Record = Record.model_validate({"id": "", "command": "", "status": status, **values})
    id_ = values.get("id", found.case.id)
    return found.model_copy(
        update={"id": id_, "command": values.get("command", f"pytest conformance --case '{id_}'")}
    )


def wrong(**changes: Any) -> Record:
    """A record that is wrong from layer 10 on, by the split; the published gate does not see it."""
    figures: dict[str, Any] = {
        "defects": ["split-with-sizes"],
        "groups": {"boxes": group(310.0, 0.9921), "scores": group(48211.0, 0.0512)},
        "layers": [
            layer(f"model.{i}", type_, 0.6 + i / 20 if i < 10 else 90000.0 / (1 + abs(i - 10)) ** 1.5)
            for i, type_ in enumerate(TYPES)
        ],
        "first_bad_layer": "model.10",
        "published_gate": PublishedGate(rule="CosSim >= 0.98", cosine=0.9917, passes=True),
        "environment": {"torch": "2.9.0", "torch_xla": "2.9.0", "numpy": "2.3.1"},
    }
    return record(Status.WRONG, **{**figures, **changes})


def passing(**changes: Any) -> Record:
    """A record that passes, with its figures."""
    figures: dict[str, Any] = {
        "groups": {"boxes": group(0.91, 1.0), "scores": group(1.07, 1.0)},
        "layers": [layer(f"model.{i}", type_, 0.6 + i / 50) for i, type_ in enumerate(TYPES)],
        "published_gate": PublishedGate(rule="CosSim >= 0.98", cosine=1.0, passes=True),
        "environment": {"torch": "2.9.0", "torch_xla": "2.9.0", "openvino": "2026.4.1"},
    }
    return record(Status.PASS, **{**figures, **changes})


@pytest.fixture
def make() -> Callable[..., Record]:
    """The factory of records."""
    return record


@pytest.fixture
def make_wrong() -> Callable[..., Record]:
    """The factory of wrong records."""
    return wrong


@pytest.fixture
def make_passing() -> Callable[..., Record]:
    """The factory of records that pass."""
    return passing


@pytest.fixture
def make_layer() -> Callable[..., LayerFigures]:
    """The factory of a layer's figures."""
    return layer


@pytest.fixture
def make_detected() -> Callable[..., DetectionFigures]:
    """The factory of a detector's figures."""
    return detected


@pytest.fixture
def make_group() -> Callable[..., GroupFigures]:
    """The factory of a group's figures."""
    return group


def models() -> list[Record]:
    """12 models on 3 real and 8 emulated columns, with everything that can happen somewhere in it."""
    sizes = [(2, 320, 320), (4, 384, 640)]
    subjects: list[dict[str, Any]] = [
        {"variant": v, "task": t, "batch": b, "height": h, "width": w, "dtype": d}
        for v, t in (("n", "detect"), ("s", "detect"), ("n", "pose"))
        for b, h, w in sizes
        for d in ("float32", "bfloat16")
    ]
    found = []
    for subject in subjects:
        found += [
            wrong(**subject),
            wrong(**subject, target="onnxruntime", defects=[], first_bad_layer="model.22"),
        ]
        found += [passing(**subject, workarounds=[name]) for name in ("slice", "functionalization")]
        if subject["dtype"] == "float32":
            found.append(passing(**subject, target="openvino"))
        for hardware in ("inf2", "trn2"):
            for sdk in ("2.28.0", "2.29.1", "2.30.0", "2.31.0"):
                column = {"target": "emulator", "hardware": hardware, "sdk": sdk}
                found.append(wrong(**subject, **column, same_program_as="yolo26n-detect/b2/320x320/fp32@xla"))
                found += [passing(**subject, **column, workarounds=[name]) for name in ("slice", "functionalization")]
    return [*found, *refused(subjects[0]), record(Status.TIMEOUT, **subjects[1], target="openvino")]


def refused(subject: dict[str, Any]) -> list[Record]:
    """One crash and one refusal."""
    place = {"target": "emulator", "hardware": "trn2", "sdk": "2.27.0", "stage": Stage.COMPILE}
    detail = "[ERROR] [NCC_EVRF029] Operation sort is not supported. Use a supported operation\nor NKI kernel."
    return [
        record(Status.CRASH, **subject, target="inductor", signature="SIGSEGV", stage=Stage.COMPILE),
        record(Status.ERROR, **subject, **place, signature="NCC_EVRF029", defects=["sort-refused"], detail=detail),
    ]


def minimal_cases() -> list[Record]:
    """The minimal cases of the split, on one real and one emulated column."""
    found = []
    for target in ("xla", "emulator"):
        for name, batch in (("sdk-1140", 2), ("attention-qkv", 1), ("two-halves", 2)):
            case = {"system": "split-with-sizes", "variant": name, "task": "", "batch": batch}
            place: dict[str, Any] = {
                "height": None,
                "width": None,
                "target": target,
                "layers": [],
                "first_bad_layer": None,
            }
            gone = {"published_gate": None, "groups": {"output": group(1e7, 0.3)}}
            found.append(wrong(**case, **place, **gone))
            found += [passing(**case, **place, workarounds=[w]) for w in ("slice", "functionalization")]
    return found


def isolated() -> list[Record]:
    """All layers of one model, alone, on one real and one emulated column."""
    found = []
    for target in ("xla", "emulator"):
        for i, type_ in enumerate(TYPES):
            path, bad = f"model.{i}", i == 10
            figures = [layer(path, type_, 8123.0 if bad else 0.8, "isolated")]
            status = Status.WRONG if bad else Status.PASS
            found.append(
                record(status, target=target, layer=path, layers=figures, defects=["split-with-sizes"] * bad)
            )
    return found


@pytest.fixture(scope="session")
def sample() -> list[Record]:
    """A whole matrix of records."""
    return [*models(), *minimal_cases(), *isolated()]
