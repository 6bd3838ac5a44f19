"""Targets that claim versions known to be affected, and do not fail as those are known to."""

from __future__ import annotations

from typing import NoReturn

from torch import Tensor
from toys import Planted

from conformance.programs.program import Program
from conformance.targets.protocol import Compiled, Options


class Affected(Planted):
    """Right, but says that it is a torch-xla that cannot be."""

    def packages(self, hardware: str, sdk: str | None) -> dict[str, str]:
        return {"torch-xla": "2.9.0"}


class AnotherFailure(Planted):
    """Fails, but not with the code that is known."""

    def packages(self, hardware: str, sdk: str | None) -> dict[str, str]:
        return {"neuronx-cc": "2.24.0"}

    def compile(self, program: Program, options: Options) -> Compiled:
        return _raise


def _raise(*_: Tensor) -> NoReturn:
    raise RuntimeError("out of memory")


AFFECTED = Affected()
WRONG_EVERYWHERE = Affected(lambda outputs: tuple(y * 2 for y in outputs))
ANOTHER_FAILURE = AnotherFailure()
