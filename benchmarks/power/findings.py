"""What came of planting a fault, and of looking at a model that is right."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

COSINE = "CosSim"  # a gate that is as lenient as one can be
HELD_OUT = "held-out/"
MAIN = "float32"  # most faults are planted, and the strictest goals set, at this dtype


@dataclass(frozen=True)
class Finding:
    """A fault and the gates that noticed it (`caught`).

    `changes_detections`: in batches that no gate saw, a detection of at least the confidence that counts is lost or
    made up; None where the model does not detect. `benign`: nothing differs by a bit, for any of the batches;
    `hidden`: nothing does for the images that are compared, so that no gate can see it. `ratio` is the largest error
    ratio of any group, layer in place and image, `ratio_alone` that of the layer compiled alone, of a fault that
    is not caught; `apart`: not counted with the others. `error` is the largest relative error of a group and image,
    and `kept` the share of the detections in those batches that are still there.
    """

    system: str
    dtype: str
    kind: str
    site: str
    layer: str
    detail: str
    caught: tuple[str, ...]
    changes_detections: bool | None
    ratio: float
    ratio_alone: float = 0.0
    benign: bool = False
    hidden: bool = False
    apart: bool = False
    error: float = 0.0
    kept: float | None = None


@dataclass(frozen=True)
class Cell:
    """A model as a compiler made it, on some images, and the gates that do not let it pass (`flagged`).

    `error` is why there is nothing to judge: what the compiler said. `images` is the index of the images.
    """

    system: str
    dtype: str
    target: str
    shape: tuple[int, int, int]
    images: int
    flagged: tuple[str, ...] = ()
    ratio: float = 0.0
    ratio_alone: float = 0.0
    error: str | None = None

    @property
    def broken(self) -> bool:
        """Whether NaN or infinity came out where the CPU has numbers, as the plain cosine sees, too: no right answer
        is flagged."""
        return not isfinite(self.ratio) and COSINE in self.flagged

    @property
    def name(self) -> str:
        """`yolo26n-detect/b2/160x160@openvino, images 4`."""
        batch, height, width = self.shape
        return f"{self.system}/b{batch}/{height}x{width}@{self.target}, images {self.images}"


@dataclass(frozen=True)
class Results:
    """All of a run, at one dtype."""

    findings: tuple[Finding, ...] = ()
    cells: tuple[Cell, ...] = ()

    def __add__(self, other: Results) -> Results:
        return Results(self.findings + other.findings, self.cells + other.cells)

    @property
    def planted(self) -> tuple[Finding, ...]:
        """The faults that count: not the benign ones, nor those that are listed apart."""
        return tuple(finding for finding in self.findings if not finding.benign and not finding.apart)

    @property
    def healthy(self) -> tuple[Cell, ...]:
        """The cells that there was something to judge in, and that may be right."""
        return tuple(cell for cell in self.cells if cell.error is None and not cell.broken)

    @property
    def dtypes(self) -> tuple[str, ...]:
        """The dtypes, in the order they were run."""
        return tuple(dict.fromkeys([*(found.dtype for found in self.findings), *(cell.dtype for cell in self.cells)]))

    @property
    def held_out(self) -> Results:
        """Those of architectures that nothing was tuned on."""
        findings = tuple(finding for finding in self.findings if finding.system.startswith(HELD_OUT))
        return Results(findings, tuple(cell for cell in self.cells if cell.system.startswith(HELD_OUT)))

    def of(self, dtype: str) -> Results:
        """Those of one dtype."""
        findings = tuple(finding for finding in self.findings if finding.dtype == dtype)
        return Results(findings, tuple(cell for cell in self.cells if cell.dtype == dtype))
