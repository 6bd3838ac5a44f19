"""The published transcripts of `fixtures/transcripts`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from conformance.core.reading import tomllib  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Transcript:
    """Printed numbers; a row of an output may be shorter than it was where the source is cut."""

    input: list[list[float]]
    sizes: list[int]
    dim: int
    outputs: list[list[list[float]]]

    def shown_by(self, pieces: tuple[Tensor, ...]) -> bool:
        """Whether these are the published outputs, as far as they are given."""
        return all(
            torch.equal(piece[row, : len(values)], torch.tensor(values, dtype=piece.dtype))
            for piece, rows in zip(pieces, self.outputs, strict=True)
            for row, values in enumerate(rows)
        )


def transcripts(kind: str) -> dict[str, Transcript]:
    path = Path(__file__).parents[1] / "fixtures" / "transcripts" / f"{kind}.toml"
    data: dict[str, Any] = tomllib.loads(path.read_text())
    return {
        name: Transcript(*(entry[key] for key in ("input", "sizes", "dim", "outputs")))
        for name, entry in data.items()
    }
