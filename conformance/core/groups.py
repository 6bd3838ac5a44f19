"""Parts of a model's outputs, by their meaning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Group:
    """A part of the output that means one thing: `outputs[output]` from `start` to `stop` along `dim`, which
    count from the end where they are negative."""

    name: str
    output: int = 0
    dim: int = 1
    start: int = 0
    stop: int | None = None

    def of(self, outputs: Sequence[Tensor]) -> Tensor:
        """The group's part of a model's outputs, batch first."""
        whole = outputs[self.output]
        if (self.start, self.stop) == (0, None):
            return whole
        start, stop, _ = slice(self.start, self.stop).indices(whole.shape[self.dim])
        return whole.narrow(self.dim, start, stop - start)
