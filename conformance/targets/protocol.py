"""What a target must offer. Anyone's own works too: `--target package.module:attribute`.

A target that runs the module as it is, in full:

    class Eager:
        name = "eager"
        emulated = False
        hardware = ("cpu",)
        sdks = ()
        variables = {}

        def missing(self):
            return None

        def packages(self, hardware, sdk):
            return {"torch": importlib.metadata.version("torch")}

        def compile(self, program, options):
            options.enter(Stage.COMPILE)
            return program.module
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from conformance.cases.outcome import Stage

if TYPE_CHECKING:
    from torch import Tensor

    from conformance.cases.case import Column
    from conformance.graphs.graph import Fallback, Graph
    from conformance.programs.program import Program

# Takes the inputs, gives the flat outputs, all on the CPU.
Compiled = Callable[..., "tuple[Tensor, ...]"]


class CompileError(Exception):
    """A compiler refused or failed. `signature` is its code (NCC_EVRF029), or the type of its error; `evidence` is
    the folder in which what it was given, and said, is kept."""

    evidence: str | None = None

    def __init__(self, signature: str, detail: str = "") -> None:
        super().__init__(f"{signature}: {detail}" if detail else signature)
        self.signature = signature
        self.detail = detail


class Crashed(CompileError):
    """The process would have died: `signature` is the signal. For targets that emulate a device."""


class Unsupported(CompileError):
    """The target does not claim to do this: another dtype, an auto-cast. It is neither right nor wrong."""

    def __init__(self, detail: str) -> None:
        super().__init__("unsupported", detail)


class FellBack(Exception):
    """It ran, and not on the device alone: the operators that were computed on the CPU instead."""


class NotRun(Exception):
    """It was compiled, and was to be no more than that."""


def _ignore(_: object) -> None:
    """Nobody wants to see it."""


@dataclass(frozen=True)
class Options:
    """How to compile: for a column, at a dtype. With `matmult-bf16` or `all-bf16` it is a float32 program of which
    the target is to cast products of matrices, or everything, to bfloat16. `enter` is called with a stage before it
    begins, so that a crash is known by its stage.

    A target that can show what it has made of the program gives `lowered` a graph, or a function that reads one, and
    `fell_back` what its front end computed itself: both tell why numbers are wrong. One that keeps the HLO that it
    hands to a compiler tells `handed` the file. One that can leave passes out tells `passes` which have changed the
    program, where the settings ask for it.
    """

    column: Column
    dtype: str
    enter: Callable[[Stage], None]
    lowered: Callable[[Graph | Callable[[], Graph]], None] = _ignore
    fell_back: Callable[[Sequence[Fallback]], None] = _ignore
    handed: Callable[[Path], None] = _ignore
    passes: Callable[[Sequence[str]], None] = _ignore

    @property
    def hardware(self) -> str:
        """What the target is to stand for."""
        return self.column.hardware

    @property
    def sdk(self) -> str | None:
        """The SDK release, of a target that has any."""
        return self.column.sdk

    @property
    def settings(self) -> tuple[str, ...]:
        """Those of the target's own that the case asks for."""
        return self.column.settings

    @property
    def workarounds(self) -> tuple[str, ...]:
        """Those that are on; what they do to the program is done."""
        return self.column.workarounds


class TargetOffer(Protocol):
    """What a target can be asked for: `hardware` and `sdks` are what it can stand for, `default_hardware` what it
    stands for unasked; `settings` are its own switches, what each does by its name: cases ask for them
    (`--settings O1`)."""

    @property
    def name(self) -> str: ...

    @property
    def hardware(self) -> tuple[str, ...]: ...

    @property
    def sdks(self) -> tuple[str, ...]: ...

    @property
    def settings(self) -> Mapping[str, str]: ...

    @property
    def default_hardware(self) -> tuple[str, ...]: ...

    def offers(self, setting: str) -> bool:
        """Whether a case can ask for a setting: one of `settings` or, of a target that can leave passes out, one that
        does."""


class Target(TargetOffer, Protocol):
    """A device under test. `conformance.targets.base.BaseTarget` has what most have alike; of one that is no subclass
    `settings`, `default_hardware`, `offers` and the methods from `cores` on may be absent, and are that class's then.

    `variables` are of the environment of the process that compiles and runs.
    """

    @property
    def emulated(self) -> bool: ...

    @property
    def variables(self) -> Mapping[str, str]: ...

    def missing(self) -> str | None:
        """Why it cannot be used here and what to install; None where it can. Imports nothing heavy."""

    def packages(self, hardware: str, sdk: str | None) -> dict[str, str]:
        """The package versions that decide which known defects it has."""

    def compile(self, program: Program, options: Options) -> Compiled:
        """Compile for the program's inputs. Raises what the compiler raises, CompileError or Unsupported."""

    def cores(self, settings: tuple[str, ...]) -> int:
        """How many NeuronCores a case with these settings needs for itself."""

    def process(self, settings: tuple[str, ...]) -> dict[str, str]:
        """The environment variables of a case with these settings, beside those of all cases."""

    def conditions(self, column: Column, dtype: str) -> dict[str, str]:
        """What the record of a case is to have beside the versions of packages: on what it ran, and how compiled."""

    def passes_left(self) -> list[str]:
        """The passes that changed the program of a case with `list-passes` whose process did not live to tell."""

    def snippet(self, column: Column, dtype: str) -> str:
        """Lines of Python or of a shell that do without the suite what the settings of a column do."""
