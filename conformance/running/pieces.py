"""Programs that are compiled apart, and run one after the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from conformance.programs.program import Program

if TYPE_CHECKING:
    from conformance.targets.protocol import Compiled


@dataclass(frozen=True)
class Piece:
    """A program of several that are run one after the other, and the names of what it takes and gives."""

    program: Program
    takes: tuple[str, ...]
    gives: tuple[str, ...]


@dataclass(frozen=True)
class Pieces:
    """All of them, and the names of what goes into them and comes out."""

    pieces: tuple[Piece, ...]
    takes: tuple[str, ...]
    gives: tuple[str, ...]

    def compiled(self, build: Callable[[Program], Compiled]) -> Compiled:
        """One program that calls them one after the other, each built by itself."""
        done = [build(piece.program) for piece in self.pieces]

        def run(*inputs: Tensor) -> tuple[Tensor, ...]:
            known = dict(zip(self.takes, inputs, strict=True))
            for piece, program in zip(self.pieces, done, strict=True):
                given = program(*(known[name] for name in piece.takes))
                known.update(zip(piece.gives, given, strict=True))
            return tuple(known[name] for name in self.gives)

        return run
