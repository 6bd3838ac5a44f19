"""One cell of the matrix: what is compiled, for what shape, on what device, with which workarounds."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from conformance.core.errors import UserError
from conformance.core.text import shortened

# Of an input: the longest side of an image in pixels, and values in all: 1 GiB of float32.
LONGEST_SIDE = 16_384
MOST_VALUES = 2**28

# The one task of a model that has no others: what its `forward` computes. Names and ids do not say it.
FORWARD = "forward"

SHORT_DTYPES = {
    "float32": "fp32",
    "bfloat16": "bf16",
    "float16": "fp16",
    "matmult-bf16": "matmult-bf16",
    "all-bf16": "all-bf16",
}
# A float32 model of which the compiler casts to bfloat16: `neuronx-cc --auto-cast matmult` or `all`.
AUTO_CAST = {"matmult-bf16": "matmult", "all-bf16": "all"}
LONG_DTYPES = {short: long for long, short in SHORT_DTYPES.items()}

_ID = re.compile(
    r"(?P<model>[^/@]+)(?:/(?P<weights>[^/@]+))?/b(?P<batch>\d+)(?:/(?P<height>\d+)x(?P<width>\d+))?/(?P<dtype>[\w-]+)(?:/(?P<layer>[^/@]+))?"
    r"@(?P<target>[^/+]+)(?:/(?P<hardware>[^/+]+))?(?:/sdk-(?P<sdk>[^/+]+))?(?:/(?P<settings>[^+]+))?"
    r"(?:\+(?P<workarounds>.+))?"
)


@dataclass(frozen=True)
class Subject:
    """What is computed, whoever computes it: a model, its weights, and the shape and dtype of a batch of inputs."""

    system: str
    """`yolo26`, or the id of a defect, where it is a minimal case of one."""
    variant: str
    """`n`, or the name of the minimal case."""
    task: str
    """`detect`; empty for a minimal case."""
    batch: int
    """Images at a time."""
    height: int | None
    """Of an image, in pixels; none for a minimal case."""
    width: int | None
    """Of an image, in pixels; none for a minimal case."""
    dtype: str
    """Of inputs and weights, or an auto-cast of float32."""
    weights: str | None = None
    """Those that are not the system's seeded ones, by name."""

    @property
    def model(self) -> str:
        """`yolo26n-detect`, `fasterrcnn-r50-backbone`, or `split-with-sizes:sdk-1140` for a minimal case."""
        return model_name(self.system, self.variant, self.task)

    @property
    def resolution(self) -> str:
        """`384x640`: height x width in pixels; empty for a minimal case."""
        return "" if self.height is None else f"{self.height}x{self.width}"

    def __str__(self) -> str:
        """`yolo26n-detect/b4/384x640/bf16`: the part of an id before the `@`, without the layer."""
        weights = f"/{self.weights}" if self.weights else ""
        size = f"/{self.resolution}" if self.resolution else ""
        return f"{self.model}{weights}/b{self.batch}{size}/{SHORT_DTYPES.get(self.dtype, self.dtype)}"


@dataclass(frozen=True)
class Column:
    """Who computes it."""

    target: str
    """`neuron`, `xla`, `emulator`, or another's own."""
    hardware: str = "cpu"
    """What it runs on, or stands for: `inf2`."""
    sdk: str | None = None
    """The SDK release, where it is not what is installed that decides."""
    settings: tuple[str, ...] = ()
    """The target's own, such as the compiler's options."""
    workarounds: tuple[str, ...] = ()
    """Those that are on."""

    @property
    def plain(self) -> Column:
        """The same without workarounds."""
        return replace(self, workarounds=())

    @property
    def lines(self) -> tuple[str, ...]:
        """`emulator`, `inf2`, `SDK 2.29.1`, `+ slice`: a heading, one part a line."""
        hardware = () if self.hardware == "cpu" else (self.hardware,)
        sdk = (f"SDK {self.sdk}",) if self.sdk else ()
        return (self.target, *hardware, *sdk, *self.settings, *(f"+ {name}" for name in self.workarounds))

    def __str__(self) -> str:
        """`emulator/inf2/sdk-2.29.1/O1+slice`: the part of an id behind the `@`."""
        hardware = () if self.hardware == "cpu" and not self.settings else (self.hardware,)
        sdk = (f"sdk-{self.sdk}",) if self.sdk else ()
        return "+".join(("/".join((self.target, *hardware, *sdk, *self.settings)), *self.workarounds))


@dataclass(frozen=True)
class Case:
    """One cell: a subject in a column."""

    subject: Subject
    """What is computed."""
    column: Column
    """Who computes it."""
    layer: str | None = None
    """The path of the layer that is compiled alone, fed with the reference's own inputs; none for the whole model."""

    @property
    def id(self) -> str:
        """`yolo26n-detect/b4/384x640/bf16@emulator/inf2/sdk-2.29.1+slice`; a layer follows the dtype."""
        layer = f"/{self.layer}" if self.layer else ""
        return f"{self.subject}{layer}@{self.column}"


def stored_dtype(dtype: str) -> str:
    """What the weights and the inputs are of, by the name it has in torch."""
    return "float32" if dtype in AUTO_CAST else dtype


def model_name(system: str, variant: str, task: str) -> str:
    """`yolo26n-detect`; a variant that is a word, not a letter, stands apart: `yolov4-tiny-detect`; a task that is
    all that the model does is not named: `torchvision-resnet18`."""
    if not task:
        return f"{system}:{variant}"
    if task == FORWARD:
        return f"{system}-{variant}"
    apart = "-" if len(variant.partition("-")[0]) > 1 else ""
    return f"{system}{apart}{variant}-{task}"


@dataclass(frozen=True)
class CaseId:
    """An id taken apart; the model's name still has to be resolved to a system and a variant."""

    model: str
    weights: str | None
    batch: int
    height: int | None
    width: int | None
    dtype: str
    layer: str | None
    column: Column


def parse_id(text: str) -> CaseId:
    """Take an id apart. Raises UserError where it is none."""
    match = _ID.fullmatch(text)
    if not match:
        raise UserError(f"{text!r} is no case id; one looks like 'yolo26n-detect/b2/320x320/fp32@xla'")
    part = match.groupdict()
    settings, workarounds = part["settings"], part["workarounds"]
    return CaseId(
        model=part["model"],
        weights=part["weights"],
        batch=int(part["batch"]),
        height=int(part["height"]) if part["height"] else None,
        width=int(part["width"]) if part["width"] else None,
        dtype=LONG_DTYPES.get(part["dtype"], part["dtype"]),
        layer=part["layer"],
        column=Column(
            target=part["target"],
            hardware=part["hardware"] or "cpu",
            sdk=part["sdk"],
            settings=tuple(settings.split("/")) if settings else (),
            workarounds=tuple(workarounds.split("+")) if workarounds else (),
        ),
    )


def weights_name(spec: str) -> str:
    """What weights are called in ids: `shapes`, `pretrained`, or the name of the file without folder and suffix."""
    return re.sub(r"[^\w.-]", "-", Path(spec).stem)


def parse_resolution(text: str) -> tuple[int, int]:
    """(height, width) in pixels of `384x640`, or of `640` for a square. Raises UserError."""
    match = re.fullmatch(r"([0-9]+)(?:x([0-9]+))?", text)
    if not match:
        raise UserError(f"resolution {text!r} is not HEIGHTxWIDTH, such as 384x640, or one number for a square")
    sides = (match[1], match[2] or match[1])
    height, width = (int(side) if len(side) < 10 else LONGEST_SIDE + 1 for side in sides)
    _require_sides(shortened(text, 40), height, width)
    return height, width


def check_size(batch: int, height: int, width: int) -> tuple[int, int, int]:
    """The shape of a batch of images, if there is a number of them and they can be held. Raises UserError."""
    if batch < 1:
        raise UserError(f"batch {batch} is impossible: it is the number of images, 1 or more")
    _require_sides(f"{height}x{width}", height, width)
    if (values := batch * 3 * height * width) > MOST_VALUES:
        raise UserError(
            f"batch {batch} of {height}x{width} is impossible: {values:,} values, and {MOST_VALUES:,} are allowed"
        )
    return batch, height, width


def _require_sides(text: str, height: int, width: int) -> None:
    if not (1 <= height <= LONGEST_SIDE and 1 <= width <= LONGEST_SIDE):
        raise UserError(f"resolution {text} is impossible: a side is 1 to {LONGEST_SIDE} pixels")


def check_stride(height: int, width: int, stride: int) -> None:
    """Raises UserError where a system cannot take images of this height and width."""
    for name, value in (("height", height), ("width", width)):
        if value % stride:
            nearest = max(stride, round(value / stride) * stride)
            raise UserError(
                f"resolution {height}x{width}: {name} {value} is not divisible by {stride}; try {nearest}"
            )
